// Marks in the stream of instructions: where an inference begins and ends.
//
// Two hints that no processor gives a meaning to, so they do nothing; the plugin that counts instructions under an
// emulator (lite_deploy/bench/emulator/count.c) knows them by their numbers. Other processors than ARM's have none.
#pragma once

#if defined(__aarch64__)
inline void MarkBegin() { asm volatile("hint #100" ::: "memory"); }
inline void MarkEnd() { asm volatile("hint #101" ::: "memory"); }
#else
inline void MarkBegin() {}
inline void MarkEnd() {}
#endif
