#include "system.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDHP
#define HWCAP_ASIMDHP (1 << 10)
#endif
#endif

namespace {

double Wall() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

rusage OwnUsage() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage;
}

double Seconds(const timeval& time) { return time.tv_sec + 1e-6 * time.tv_usec; }

double OwnTime() {
  const rusage usage = OwnUsage();
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

// Seconds that all cores together have been busy since boot, negative if /proc/stat cannot be read.
double BusyTime() {
  std::ifstream file("/proc/stat");
  std::string line;
  if (!std::getline(file, line)) return -1;
  std::istringstream words(line);
  std::string name;
  words >> name;
  double busy = 0, ticks = 0;
  for (int field = 0; field < 8 && words >> ticks; ++field)  // user nice system idle iowait irq softirq steal
    if (field != 3 && field != 4) busy += ticks;
  return busy / sysconf(_SC_CLK_TCK);
}

}  // namespace

void BindTo(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) {
    if (core < 0 || core >= CPU_SETSIZE)
      throw std::runtime_error("--cores: no core " + std::to_string(core));
    CPU_SET(core, &set);
  }
  if (sched_setaffinity(0, sizeof(set), &set) != 0)
    throw std::runtime_error(std::string("--cores: cannot bind to these cores: ") + std::strerror(errno));
}

std::vector<int> AllowedCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

std::vector<long> Clocks(const std::vector<int>& cores) {
  std::vector<long> clocks;
  for (const int core : cores) {
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(core) + "/cpufreq/scaling_cur_freq");
    long clock = 0;
    file >> clock;
    clocks.push_back(clock);
  }
  return clocks;
}

long PeakMemory() { return OwnUsage().ru_maxrss; }

bool HasHalfPrecision() {
#if defined(__aarch64__)
  return getauxval(AT_HWCAP) & HWCAP_ASIMDHP;
#elif defined(__arm__)
  return false;
#else
  return true;
#endif
}

Usage::Usage() : busy_(BusyTime()), own_(OwnTime()), wall_(Wall()), switches_(OwnUsage().ru_nivcsw) {}

double Usage::others() const {
  const double wall = Wall() - wall_, busy = BusyTime();
  if (busy_ < 0 || busy < 0 || wall <= 0) return -1;
  return std::max(0.0, (busy - busy_ - (OwnTime() - own_)) / wall);
}

long Usage::preempted() const { return OwnUsage().ru_nivcsw - switches_; }
