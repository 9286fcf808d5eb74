#!/usr/bin/env bash
# package.sh install | find_package | pkg_config
# The environment says where things are: see CMakeLists.txt beside this file.
set -euo pipefail

prefix=$WORK_DIR/moved/prefix
consumer=$SOURCE_DIR/tests/package/consumer

fail() { echo "package: $*" >&2; exit 1; }

# An installed file that names the checkout or the build folder works only on this machine.
no_path_of_ours() {
  if grep -F -e "$SOURCE_DIR" -e "$BUILD_DIR" -r "$prefix/$LIBDIR/cmake" "$prefix/$LIBDIR/pkgconfig"; then
    fail "the package files above name a path of this build"
  fi
}

install_and_move() {
  rm -rf "$WORK_DIR/first" "$WORK_DIR/moved"
  "$CMAKE" --install "$BUILD_DIR" --prefix "$WORK_DIR/first/prefix" >"$WORK_DIR/install.log"
  mv "$WORK_DIR/first" "$WORK_DIR/moved"
  no_path_of_ours

  local header page schema
  for header in "$SOURCE_DIR"/include/lastack/*.h; do
    [[ -f $prefix/include/lastack/${header##*/} ]] || fail "not installed: ${header##*/}"
  done
  shopt -s nullglob
  for page in "$SOURCE_DIR"/man/*.1; do
    [[ -f $prefix/share/man/man1/${page##*/} ]] || fail "not installed: ${page##*/}"
  done
  for schema in "$SOURCE_DIR"/schema/*.json; do
    [[ -f $prefix/share/lastack/schema/${schema##*/} ]] || fail "not installed: ${schema##*/}"
  done

  local version
  version=$("$prefix/bin/lastack" --version)
  # shellcheck disable=SC2153  # from the environment, like the other capitals
  [[ $version == *"$VERSION"* ]] || fail "bin/lastack --version says '$version', not $VERSION"
  echo "$version"
}

by_find_package() {
  rm -rf "$WORK_DIR/find_package" "$WORK_DIR/examples"
  "$CMAKE" -S "$consumer" -B "$WORK_DIR/find_package" -G Ninja \
    -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_PREFIX_PATH="$prefix" -DWANTED_VERSION="$VERSION"
  "$CMAKE" --build "$WORK_DIR/find_package"
  "$WORK_DIR/find_package/consumer"
  "$WORK_DIR/find_package/endpoint"

  # The examples, from where they were installed.
  "$CMAKE" -S "$prefix/share/doc/lastack/examples" -B "$WORK_DIR/examples" -G Ninja \
    -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_PREFIX_PATH="$prefix"
  "$CMAKE" --build "$WORK_DIR/examples" --target example_echo_server
  "$WORK_DIR/examples/echo_server"
}

by_pkg_config() {
  export PKG_CONFIG_PATH=$prefix/$LIBDIR/pkgconfig
  local version header flags
  version=$("$PKG_CONFIG" --modversion lastack)
  [[ $version == "$VERSION" ]] || fail "pkg-config says version $version, not $VERSION"

  # Each public header stands alone, and is clean under a stranger's warnings.
  read -ra flags <<<"$("$PKG_CONFIG" --cflags lastack)"
  for header in "$prefix"/include/lastack/*.h; do
    "$CXX" -std=c++20 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "${flags[@]}" \
      -include "lastack/${header##*/}" -x c++ /dev/null || fail "does not stand alone: ${header##*/}"
  done

  read -ra flags <<<"$("$PKG_CONFIG" --cflags --libs --static lastack)"
  echo "flags: ${flags[*]}"
  "$CXX" -std=c++20 "$consumer/main.cc" "${flags[@]}" -o "$WORK_DIR/by_pkg_config"
  LD_LIBRARY_PATH=$prefix/$LIBDIR "$WORK_DIR/by_pkg_config"
  "$CXX" -std=c++20 "$consumer/endpoint.cc" "${flags[@]}" -o "$WORK_DIR/endpoint_by_pkg_config"
  LD_LIBRARY_PATH=$prefix/$LIBDIR "$WORK_DIR/endpoint_by_pkg_config"
}

case ${1:-} in
  install) install_and_move ;;
  find_package) by_find_package ;;
  pkg_config) by_pkg_config ;;
  *) fail "install, find_package or pkg_config?" ;;
esac
