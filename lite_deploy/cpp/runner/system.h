// What the system says of the process and of the processor while they run (Linux and Android).
#pragma once

#include <string>
#include <vector>

// Binds the process to these processor cores; threads made later inherit it. Throws std::runtime_error.
void BindTo(const std::vector<int>& cores);

// The cores that the process may run on.
std::vector<int> AllowedCores();

// Current clock of each core in kHz, 0 where the system does not tell.
std::vector<long> Clocks(const std::vector<int>& cores);

// Most memory that the process ever had, in kB.
long PeakMemory();

// Whether the processor has half-precision arithmetic (ARMv8.2, asimdhp); true off ARM, where nothing needs it.
bool HasHalfPrecision();

// What this and the other programs use of all cores between two moments.
class Usage {
 public:
  Usage();
  // Cores that other programs kept busy since construction, on average; negative where the system does not tell.
  double others() const;
  // How often another program took the core away.
  long preempted() const;

 private:
  double busy_, own_, wall_;
  long switches_;
};
