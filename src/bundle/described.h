// Types described by a list of their members: one list of names and members that writing, reading and
// tests all go by. A member that a list forgets does not compile: static_assert(complete<T>()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace lastack {

inline constexpr bool kRequired = true;

template <class Owner, class T>
struct Field {
  using Type = T;
  std::string_view name;
  T Owner::*member;
  bool required;
  std::uint64_t most;  // of a number, where that is less than its type can hold

  // Written out because Clang 16 deduces no template arguments for aggregates.
  constexpr Field(std::string_view n, T Owner::*m, bool r = false, std::uint64_t limit = UINT64_MAX)
      : name(n), member(m), required(r), most(limit) {}
};

template <class T>
struct Fields;

template <class T>
concept Described = requires { Fields<T>::own; };

template <class T>
concept Derived = requires { typename Fields<T>::Base; };

// Calls `visit` with every field, those of the base first.
template <class T, class Visit>
constexpr void for_each_field(Visit&& visit) {
  if constexpr (Derived<T>) for_each_field<typename Fields<T>::Base>(visit);
  std::apply([&](const auto&... field) { (visit(field), ...); }, Fields<T>::own);
}

template <class T>
constexpr std::size_t field_count() {
  std::size_t n = 0;
  for_each_field<T>([&](const auto&) { ++n; });
  return n;
}

// An aggregate takes an initializer for each member, in order, and not one more. So a list that leaves
// a member out, or has another order, is found here.
template <class T, class... Members>
concept TakesExactly = requires { T{std::declval<Members>()...}; } && !requires {
  T{std::declval<Members>()..., {}};
};

template <class T>
constexpr bool complete() {
  return std::apply(
      []<class... F>(const F&...) {
        if constexpr (Derived<T>) {
          return TakesExactly<T, typename Fields<T>::Base, typename F::Type...>;
        } else {
          return TakesExactly<T, typename F::Type...>;
        }
      },
      Fields<T>::own);
}

}  // namespace lastack
