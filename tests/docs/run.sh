#!/bin/sh
# run.sh PROGRAM [EXPECTED]: it ends well, and prints what the document says.
set -eu
got=$("$1")
[ $# -eq 1 ] || [ "$got" = "$(cat "$2")" ] || {
  printf 'the document says:\n%s\nthe program prints:\n%s\n' "$(cat "$2")" "$got"
  exit 1
}
