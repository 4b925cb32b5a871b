// The little of the C++ library that pose/ needs at run time, for a build that has none: with it, the library links
// against Android's libc.so and libm.so alone. A build with the NDK takes the NDK's instead of this file.
#include <cstdlib>
#include <new>

void* operator new(std::size_t size) {
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  std::abort();
}

void operator delete(void* memory) noexcept { std::free(memory); }

void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace std {

// What libstdc++'s vector calls where it would throw.
void __throw_length_error(const char*) { abort(); }
void __throw_bad_alloc() { abort(); }
void __throw_bad_array_new_length() { abort(); }

}  // namespace std
