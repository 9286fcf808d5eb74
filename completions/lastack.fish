# fish completion for lastack

set -l commands doctor snapshot explain demo
set -l looking '__fish_seen_subcommand_from doctor snapshot'
set -l doctor '__fish_seen_subcommand_from doctor'
set -l snapshot '__fish_seen_subcommand_from snapshot'

complete -c lastack -f
complete -c lastack -s h -l help -d 'Show help'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -l version -d 'Show the version'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a doctor -d 'How do connections end here, and does it hurt?'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a snapshot -d 'Write everything the doctor needs to one file'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a explain -d 'What is a finding about?'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a demo -d 'An incident: shown, diagnosed and cured'

complete -c lastack -n $looking -l netns -r -F -a '(ip netns list 2>/dev/null | string split -f1 " ")' -d 'Network namespace'
complete -c lastack -n $looking -l pid -x -a '(__fish_complete_pids)' -d 'Namespace of this process'
complete -c lastack -n $looking -l all-netns -d 'Every namespace that can be entered'
complete -c lastack -n $looking -l sample -x -d 'Look twice, seconds apart'
complete -c lastack -n $looking -l expect-listener -x -d 'A port that something should listen on'

complete -c lastack -n $doctor -l from -r -F -d 'Read a bundle in place of this host'
complete -c lastack -n $doctor -l earlier -r -F -d 'Compare with this earlier bundle'
complete -c lastack -n $doctor -l counters -d 'Settings and counters only'
complete -c lastack -n $doctor -l json -d 'Print the diagnosis as JSON'
complete -c lastack -n $doctor -s v -l verbose -d 'Every finding in full'
complete -c lastack -n $doctor -l color -x -a 'auto always never' -d Colour
complete -c lastack -n $doctor -l width -x -d 'Columns of the page'

complete -c lastack -n $snapshot -s o -l output -r -F -d 'Where to; - is standard output'
complete -c lastack -n $snapshot -l redact -d 'Replace addresses, names and command lines'

complete -c lastack -n '__fish_seen_subcommand_from explain' -a '(lastack explain 2>/dev/null | string replace -r "^(\S+)\s+" "\$1\t")'
complete -c lastack -n '__fish_seen_subcommand_from demo' -l full -d "With the kernel's own 60 s of TIME_WAIT"
