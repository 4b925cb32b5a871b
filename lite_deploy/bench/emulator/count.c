// A plugin for qemu-aarch64: counts the instructions between two marks, by class and by operator.
//
//     qemu-aarch64 -plugin libcount.so,out=counts.json,operators=213 pose_runner ...
//
// The marks are two hints (cpp/runner/marks.h): what runs between `hint #100` and `hint #101` is one inference. Each
// instruction adds to its class's counter, so the counts are exact and the same on every machine. One thread only.
//
// By operator: an engine's loop calls something once for each operator. The plugin knows how many operators there
// are; a call that ran just so often in an inference, and of those the one that ran first, is taken for the
// beginning of an operator in the next inference. Where there is none, nothing is said by operator.
//
// The file is JSON: {"inferences": [[8 counts], ...], "operators": [[8 counts], ...]}, the operators of the last
// inference, classes in the order of `Class`. The functions of QEMU's plugin interface (version 1, QEMU 6.0 to 8.2)
// are declared here, because Debian has no package with its header.
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t Id;  // of this plugin
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*OnTranslation)(Id id, struct qemu_plugin_tb* block);
typedef void (*OnExecution)(unsigned int cpu, void* data);
typedef void (*OnExit)(Id id, void* data);
enum { NO_REGISTERS = 0, ADD_U64 = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(Id id, OnTranslation call);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* insn, OnExecution call, int flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* insn, int op, void* counter, uint64_t add);
void qemu_plugin_register_atexit_cb(Id id, OnExit call, void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t i);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* insn);

EXPORT int qemu_plugin_version = 1;

typedef enum {
  FP32_MULTIPLY_ADD,  // vectors: fmla, fmls
  FP16_MULTIPLY_ADD,
  DOT_PRODUCT,    // sdot, udot, smmla: four or more products of 8 bits added to each number at once
  INT8_MULTIPLY,  // vectors of 8 and 16 bits: smull, smlal, smlsl and those without sign
  OTHER_VECTOR,   // all else that works on the floating-point and vector registers
  LOAD_STORE,
  BRANCH,
  OTHER,
  CLASSES
} Class;

enum { MARK_BEGIN = 0xD5032C9F, MARK_END = 0xD5032CBF };  // hint #100, hint #101

static bool is(uint32_t insn, uint32_t mask, uint32_t value) { return (insn & mask) == value; }

// Arm's manual (DDI 0487), chapter C4: bits 28 to 25 tell the groups apart.
static Class class_of(uint32_t insn) {
  if (is(insn, 0x0A000000, 0x08000000)) return LOAD_STORE;
  if (is(insn, 0x0E000000, 0x0E000000)) {
    if (is(insn, 0xBF60FC00, 0x0E20CC00) || is(insn, 0xBFC0B400, 0x0F801000)) return FP32_MULTIPLY_ADD;
    if (is(insn, 0xBF60FC00, 0x0E400C00) || is(insn, 0xBFC0B400, 0x0F001000)) return FP16_MULTIPLY_ADD;
    if (is(insn, 0x9FE0FC00, 0x0E809400) || is(insn, 0x9FC0F400, 0x0F80E000) || is(insn, 0xDFE0FC00, 0x4E80A400))
      return DOT_PRODUCT;
    const bool vectors = is(insn, 0x9F208C00, 0x0E208000) && !is(insn, 0x00001000, 0x00001000);
    const bool by_element = is(insn, 0x9F001400, 0x0F000000) && (insn >> 12 & 3) == 2;
    const bool small = (insn >> 22 & 3) < 2;
    if (small && ((vectors && (insn >> 13 & 3) != 3) || (by_element && (insn >> 14 & 3) != 3))) return INT8_MULTIPLY;
    return OTHER_VECTOR;
  }
  if (is(insn, 0x7C000000, 0x14000000) || is(insn, 0xFF000000, 0x54000000) || is(insn, 0x7C000000, 0x34000000) ||
      is(insn, 0xFE000000, 0xD6000000))
    return BRANCH;  // b, bl; b.cond; cbz, cbnz, tbz, tbnz; br, blr, ret
  return OTHER;
}

static bool is_call(uint32_t insn) {
  return is(insn, 0xFC000000, 0x94000000) || is(insn, 0xFEFFF000, 0xD63F0000);  // bl; blr and its kind
}

typedef struct {
  uint64_t counts[CLASSES];
} Counts;

typedef struct Site {  // a call in the program
  uint64_t address, hits, first;
  struct Site* next;
} Site;

enum { BUCKETS = 4096, MOST_INFERENCES = 1000 };
static Site* sites[BUCKETS];
static Counts now, at_begin, inferences[MOST_INFERENCES];
static Counts *marks, at_end;  // marks: where each operator of this inference began
static size_t inference_count, operators, begun;
static uint64_t calls;  // of this inference
static const Site* chosen;
static bool inside, complete;
static const char* out_path = NULL;

static Counts minus(const Counts* a, const Counts* b) {
  Counts result;
  for (int i = 0; i < CLASSES; ++i) result.counts[i] = a->counts[i] - b->counts[i];
  return result;
}

static void on_begin(unsigned int cpu, void* data) {
  (void)cpu, (void)data;
  for (size_t i = 0; i < BUCKETS; ++i)
    for (Site* site = sites[i]; site; site = site->next) site->hits = 0;
  calls = 0;
  begun = 0;
  inside = true;
  at_begin = now;
}

static void on_end(unsigned int cpu, void* data) {
  (void)cpu, (void)data;
  if (!inside) return;
  inside = false;
  at_end = now;
  if (inference_count < MOST_INFERENCES) inferences[inference_count++] = minus(&at_end, &at_begin);
  complete = chosen && begun == operators;
  chosen = NULL;
  for (size_t i = 0; i < BUCKETS; ++i)
    for (Site* site = sites[i]; site; site = site->next)
      if (operators && site->hits == operators && (!chosen || site->first < chosen->first)) chosen = site;
}

static void on_call(unsigned int cpu, void* data) {
  (void)cpu;
  Site* site = data;
  if (!inside) return;
  if (site->hits++ == 0) site->first = calls;
  ++calls;
  if (site == chosen) {
    if (begun < operators) marks[begun] = now;
    ++begun;
  }
}

static Site* site_at(uint64_t address) {
  Site** bucket = &sites[address / 4 % BUCKETS];
  for (Site* site = *bucket; site; site = site->next)
    if (site->address == address) return site;
  Site* site = calloc(1, sizeof(Site));
  if (!site) abort();
  site->address = address;
  site->next = *bucket;
  *bucket = site;
  return site;
}

static void on_translation(Id id, struct qemu_plugin_tb* block) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(block);
  for (size_t i = 0; i < count; ++i) {
    struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(block, i);
    uint32_t code;
    memcpy(&code, qemu_plugin_insn_data(insn), sizeof(code));
    if (code == MARK_BEGIN || code == MARK_END) {
      qemu_plugin_register_vcpu_insn_exec_cb(insn, code == MARK_BEGIN ? on_begin : on_end, NO_REGISTERS, NULL);
      continue;
    }
    qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD_U64, &now.counts[class_of(code)], 1);
    if (operators && is_call(code))
      qemu_plugin_register_vcpu_insn_exec_cb(insn, on_call, NO_REGISTERS, site_at(qemu_plugin_insn_vaddr(insn)));
  }
}

static void print_counts(FILE* file, const Counts* counts, bool last) {
  fputc('[', file);
  for (int i = 0; i < CLASSES; ++i) fprintf(file, i ? ", %" PRIu64 : "%" PRIu64, counts->counts[i]);
  fputs(last ? "]" : "], ", file);
}

static void on_exit_of_program(Id id, void* data) {
  (void)id, (void)data;
  FILE* file = fopen(out_path, "w");
  if (!file) {
    perror(out_path);
    return;
  }
  fputs("{\"inferences\": [", file);
  for (size_t i = 0; i < inference_count; ++i) print_counts(file, &inferences[i], i + 1 == inference_count);
  fputs("], \"operators\": [", file);
  for (size_t i = 0; complete && i < operators; ++i) {
    const Counts each = minus(i + 1 == operators ? &at_end : &marks[i + 1], &marks[i]);
    print_counts(file, &each, i + 1 == operators);
  }
  fputs("]}\n", file);
  fclose(file);
}

EXPORT int qemu_plugin_install(Id id, const void* info, int argc, char** argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "out=", 4) == 0) out_path = strdup(argv[i] + 4);
    if (strncmp(argv[i], "operators=", 10) == 0) operators = strtoul(argv[i] + 10, NULL, 10);
  }
  marks = calloc(operators + 1, sizeof(Counts));
  if (!out_path || !marks) return -1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, on_exit_of_program, NULL);
  return 0;
}
