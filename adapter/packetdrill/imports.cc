#include "imports.h"

#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lastack::packetdrill {
namespace {

int own_getsockopt(int fd, int level, int option, void* value, socklen_t* length) {
  int result = 0;
  if (intercept_getsockopt(fd, level, option, value, length, result)) return result;
  return ::getsockopt(fd, level, option, value, length);
}

int own_close(int fd) {
  int result = 0;
  if (intercept_close(fd, result)) return result;
  return ::close(fd);
}

ssize_t own_sendfile(int out, int in, off_t* at, size_t size) {
  ssize_t result = 0;
  if (intercept_sendfile(out, in, at, size, result)) return result;
  return ::sendfile(out, in, at, size);
}

struct Import {
  std::string_view name;
  std::uintptr_t target;
};

const std::array<Import, 4>& imports() {
  static const std::array<Import, 4> all{{
      {"getsockopt", reinterpret_cast<std::uintptr_t>(&own_getsockopt)},
      {"close", reinterpret_cast<std::uintptr_t>(&own_close)},
      {"sendfile", reinterpret_cast<std::uintptr_t>(&own_sendfile)},
      {"sendfile64", reinterpret_cast<std::uintptr_t>(&own_sendfile)},
  }};
  return all;
}

// The table may have been made read-only after the program was linked (RELRO).
void write_slot(std::uintptr_t slot, std::uintptr_t value) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  void* start = reinterpret_cast<void*>(slot / page * page);
  if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return;
  std::memcpy(reinterpret_cast<void*>(slot), &value, sizeof value);
}

bool is_import(std::uint64_t type) {
#if defined(__x86_64__)
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
  return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
#else
  static_cast<void>(type);
  return false;
#endif
}

// The first object is the program itself.
int redirect_program(dl_phdr_info* program, std::size_t, void*) {
  const auto base = static_cast<std::uintptr_t>(program->dlpi_addr);
  const ElfW(Dyn)* entry = nullptr;
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    if (program->dlpi_phdr[i].p_type == PT_DYNAMIC) {
      entry = reinterpret_cast<const ElfW(Dyn)*>(base + program->dlpi_phdr[i].p_vaddr);
    }
  }
  if (entry == nullptr) return 1;
  const char* names = nullptr;
  const ElfW(Sym)* symbols = nullptr;
  struct Table {
    const ElfW(Rela) * begin;
    std::size_t bytes;
  };
  Table calls{nullptr, 0}, others{nullptr, 0};
  for (; entry->d_tag != DT_NULL; ++entry) {
    const auto at = static_cast<std::uintptr_t>(entry->d_un.d_ptr);
    switch (entry->d_tag) {
      case DT_STRTAB:
        names = reinterpret_cast<const char*>(at);
        break;
      case DT_SYMTAB:
        symbols = reinterpret_cast<const ElfW(Sym)*>(at);
        break;
      case DT_JMPREL:
        calls.begin = reinterpret_cast<const ElfW(Rela)*>(at);
        break;
      case DT_PLTRELSZ:
        calls.bytes = entry->d_un.d_val;
        break;
      case DT_RELA:
        others.begin = reinterpret_cast<const ElfW(Rela)*>(at);
        break;
      case DT_RELASZ:
        others.bytes = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  if (names == nullptr || symbols == nullptr) return 1;
  for (const Table& table : {calls, others}) {
    if (table.begin == nullptr) continue;
    for (std::size_t i = 0; i < table.bytes / sizeof(ElfW(Rela)); ++i) {
      const ElfW(Rela)& relocation = table.begin[i];
      if (!is_import(ELF64_R_TYPE(relocation.r_info))) continue;
      const std::string_view name = names + symbols[ELF64_R_SYM(relocation.r_info)].st_name;
      for (const Import& import : imports()) {
        if (import.name == name) write_slot(base + relocation.r_offset, import.target);
      }
    }
  }
  return 1;
}

}  // namespace

void redirect_imports() {
  if constexpr (sizeof(void*) == 8) dl_iterate_phdr(redirect_program, nullptr);
}

}  // namespace lastack::packetdrill
