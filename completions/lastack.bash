# bash completion for lastack

_lastack_namespaces() {
  ip netns list 2>/dev/null | cut -d' ' -f1
}

# _lastack_endpoint <index of the word endpoint>
_lastack_endpoint() {
  local part='' i
  for ((i = $1 + 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      serve | fetch | churn)
        part=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  local device='--tun --create --address --peer --netns --profile --set --seed --no-offloads --loss --snapshot --log --sample --sockets'
  local options words=''
  case $part in
    '') options='serve fetch churn' device='' ;;
    serve) options='--http --echo --discard --chargen --live' ;;
    fetch) options='--output -o --resume --patience --quiet -q' ;;
    churn)
      options='--concurrency --rate --count --duration --exchange --path --first --end --patience --json'
      ;;
  esac
  case $previous in
    --profile) words='linux rfc9293 rfc793' ;;
    --exchange) words='none echo http' ;;
    --first) words='us peer' ;;
    --end) words='close shutdown reset vanish' ;;
    --netns) words=$(_lastack_namespaces) ;;
    --snapshot | --log | --output | -o)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --tun | --address | --peer | --set | --seed | --loss | --http | --echo | --discard | --chargen | --patience | \
      --concurrency | --rate | --count | --duration | --path | --sample | --sockets) return ;;
    *)
      if [[ $part == serve && $current != -* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
      fi
      words="$options $device --help -h"
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

# _lastack_log <index of the word log>
_lastack_log() {
  local part='' i
  for ((i = $1 + 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      show | html | diff)
        part=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  local options='' words=''
  case $part in
    '') options='show html diff' ;;
    show) options='--list --diagram --connection --from --to --rows --width --color' ;;
    html) options='--output -o --title --connection --from --to --rows' ;;
    diff) options='--tolerance --share --ignore-times --context --width' ;;
  esac
  case $previous in
    --color) words='auto always never' ;;
    --connection | --from | --to | --rows | --width | --title | --tolerance | --share | --context) return ;;
    *)
      if [[ -n $part && $current != -* ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
      fi
      words="$options --help -h"
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

# _lastack_lab <index of the word lab>
_lastack_lab() {
  local part='' i options='' words=''
  for ((i = $1 + 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      list | show | run | compare | sweep | claims | replay)
        part=${COMP_WORDS[i]}
        break
        ;;
    esac
  done
  case $part in
    '') options='list show run compare sweep claims replay' ;;
    show) options='--toml' ;;
    run) options='--on --seed --set --variant --log --html --pcap --pcap-at --diagram --measures --json --full' ;;
    compare) options='--seeds --set --variant --full' ;;
    sweep) options='--on --seeds --set --variant --shard --output -o --full' ;;
    claims) options='--format --full' ;;
  esac
  case $previous in
    --on) words='endpoint kernel mixed' ;;
    --format) words='text json markdown' ;;
    --log | --html | --pcap | --output | -o)
      compopt -o filenames
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --seed | --seeds | --set | --variant | --pcap-at | --shard) return ;;
    *)
      if [[ $part =~ ^(show|run|compare|sweep)$ && $current != -* ]]; then
        compopt -o filenames
        words=$(lastack lab list 2>/dev/null | cut -d' ' -f1)
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"; compgen -f -X '!*.toml' -- "$current"; compgen -d -- "$current")
        return
      fi
      words="$options --help -h"
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

_lastack() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()

  local command='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      doctor | snapshot | explain | demo | plan | endpoint | lab | log)
        command=${COMP_WORDS[i]}
        break
        ;;
    esac
  done

  if [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'doctor snapshot explain demo plan endpoint lab log --help --version' -- "$current")
    return
  fi

  if [[ $command == doctor || $command == snapshot ]]; then
    case $previous in
      --netns)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -W "$(_lastack_namespaces)" -- "$current"; compgen -f -- "$current")
        return
        ;;
      --pid)
        mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && printf '%s ' [0-9]*)" -- "$current")
        return
        ;;
      --from | --earlier | -o | --output)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
      --color)
        mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$current")
        return
        ;;
      --prove)
        mapfile -t COMPREPLY < <(compgen -W "list $(lastack doctor --prove list 2>/dev/null | sed '/^$/q' | cut -d' ' -f1)" -- "$current")
        return
        ;;
      --sample | --expect-listener | --width)
        return
        ;;
    esac
  fi

  if [[ $command == endpoint ]]; then
    _lastack_endpoint "$i"
    return
  fi
  if [[ $command == lab ]]; then
    _lastack_lab "$i"
    return
  fi

  if [[ $command == log ]]; then
    _lastack_log "$i"
    return
  fi

  local looking='--netns --pid --all-netns --sample --expect-listener' options=''
  case $command in
    doctor) options="$looking --from --earlier --counters --prove --full --json --color --width --verbose -v" ;;
    snapshot) options="$looking --output -o --redact" ;;
    demo) options='--full' ;;
    plan) options='--rate --lifetime --destinations --sources --first --source-port --round-trip --set --descriptors --requests --no-peer-timestamps --loopback --from-host --netns --pid --all-netns --sample --from --to --times --check --full --seed --json --color --width' ;;
    explain)
      if [[ $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(lastack explain 2>/dev/null | cut -d' ' -f1)" -- "$current")
        return
      fi
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$options --help -h" -- "$current")
}

complete -F _lastack lastack
