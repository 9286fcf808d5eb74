# fish completion for lastack

set -l commands doctor snapshot explain demo endpoint lab log
set -l parts serve fetch churn
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
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a endpoint -d 'A TCP endpoint of our own on a TUN device'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a lab -d 'Make incidents and claims happen'
complete -c lastack -n "not __fish_seen_subcommand_from $commands" -a log -d 'A lifecycle log: as text, as a page, beside another'

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

set -l endpoint '__fish_seen_subcommand_from endpoint'
complete -c lastack -n "$endpoint; and not __fish_seen_subcommand_from $parts" -a serve -d 'Files over HTTP, echo, discard, chargen'
complete -c lastack -n "$endpoint; and not __fish_seen_subcommand_from $parts" -a fetch -d 'GET a URL'
complete -c lastack -n "$endpoint; and not __fish_seen_subcommand_from $parts" -a churn -d 'Many short connections'
complete -c lastack -n $endpoint -l tun -x -d 'The TUN device'
complete -c lastack -n $endpoint -l create -d 'Make the device'
complete -c lastack -n $endpoint -l address -x -d 'An address of the endpoint'
complete -c lastack -n $endpoint -l peer -x -d "The kernel's address on the device"
complete -c lastack -n $endpoint -l netns -r -F -a '(ip netns list 2>/dev/null | string split -f1 " ")' -d 'Network namespace of the device'
complete -c lastack -n $endpoint -l profile -x -a 'linux rfc9293 rfc793' -d 'Whose TCP'
complete -c lastack -n $endpoint -l set -x -d 'A sysctl of the endpoint'
complete -c lastack -n $endpoint -l seed -x -d 'Of numbers, ports and losses'
complete -c lastack -n $endpoint -l no-offloads -d 'Every packet as on a wire'
complete -c lastack -n $endpoint -l loss -x -d 'Lose so many per cent'
complete -c lastack -n $endpoint -l snapshot -r -F -d 'Write a bundle for the doctor'
complete -c lastack -n $endpoint -l log -r -F -d 'Write what happens to each connection'
complete -c lastack -n $endpoint -l sample -x -d 'Look every so many seconds'
complete -c lastack -n $endpoint -l sockets -x -d 'At most so many sockets'
set -l serve "$endpoint; and __fish_seen_subcommand_from serve"
complete -c lastack -n $serve -a '(__fish_complete_directories)'
complete -c lastack -n $serve -l http -x -d 'Port of HTTP'
complete -c lastack -n $serve -l echo -x -d 'Port of echo'
complete -c lastack -n $serve -l discard -x -d 'Port of discard'
complete -c lastack -n $serve -l chargen -x -d 'Port of chargen'
complete -c lastack -n $serve -l live -d 'A line every second'
set -l fetch "$endpoint; and __fish_seen_subcommand_from fetch"
complete -c lastack -n $fetch -s o -l output -r -F -d 'Where to'
complete -c lastack -n $fetch -l resume -d 'Go on with FILE.part'
complete -c lastack -n "$endpoint; and __fish_seen_subcommand_from fetch churn" -l patience -x -d 'Give up after so many seconds'
complete -c lastack -n $fetch -s q -l quiet -d 'Say nothing when all went well'
set -l churn "$endpoint; and __fish_seen_subcommand_from churn"
complete -c lastack -n $churn -l concurrency -x -d 'At most so many at a time'
complete -c lastack -n $churn -l rate -x -d 'Connections a second'
complete -c lastack -n $churn -l count -x -d 'So many in all'
complete -c lastack -n $churn -l duration -x -d 'For so many seconds'
complete -c lastack -n $churn -l exchange -x -a 'none echo http' -d 'What is said'
complete -c lastack -n $churn -l path -x -d 'What is asked for'
complete -c lastack -n $churn -l first -x -a 'us peer' -d 'Who closes first'
complete -c lastack -n $churn -l end -x -a 'close shutdown reset vanish' -d 'How we end'
complete -c lastack -n $churn -l json -d 'The summary as JSON'

set -l log '__fish_seen_subcommand_from log'
complete -c lastack -n "$log; and not __fish_seen_subcommand_from show html diff" -a show -d 'Draw it'
complete -c lastack -n "$log; and not __fish_seen_subcommand_from show html diff" -a html -d 'One HTML file that needs no other'
complete -c lastack -n "$log; and not __fish_seen_subcommand_from show html diff" -a diff -d 'Where two logs first tell different stories'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show html diff" -F
complete -c lastack -n "$log; and __fish_seen_subcommand_from show html" -l connection -x -d 'Only these'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show html" -l from -x -d 'From this time on, in ms'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show html" -l to -x -d 'Until this time, in ms'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show html" -l rows -x -d 'At most so many, 0 for all'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show" -l list -d 'Every event on a line of its own'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show" -l diagram -d 'A sequence diagram'
complete -c lastack -n "$log; and __fish_seen_subcommand_from show" -l color -x -a 'auto always never' -d Colour
complete -c lastack -n "$log; and __fish_seen_subcommand_from show diff" -l width -x -d 'Columns'
complete -c lastack -n "$log; and __fish_seen_subcommand_from html" -s o -l output -r -F -d 'Where to; - is standard output'
complete -c lastack -n "$log; and __fish_seen_subcommand_from html" -l title -x -d 'What stands above'
complete -c lastack -n "$log; and __fish_seen_subcommand_from diff" -l tolerance -x -d 'Times may differ by so many ms'
complete -c lastack -n "$log; and __fish_seen_subcommand_from diff" -l share -x -d 'And by so many per cent'
complete -c lastack -n "$log; and __fish_seen_subcommand_from diff" -l ignore-times -d 'Compare no times'
complete -c lastack -n "$log; and __fish_seen_subcommand_from diff" -l context -x -d 'Events before and after'

set -l lab '__fish_seen_subcommand_from lab'
set -l labparts list show run compare sweep claims replay
complete -c lastack -n "$lab; and not __fish_seen_subcommand_from $labparts" -a "$labparts"
complete -c lastack -n "$lab; and __fish_seen_subcommand_from show run compare sweep" -F -a '(lastack lab list 2>/dev/null | string split -f1 " ")'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run sweep" -l on -x -a 'endpoint kernel mixed' -d Where
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l seed -x -d 'Of what is left to chance'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from compare sweep" -l seeds -x -d 'Such as 1-20'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run compare sweep" -l set -x -d 'Another value for a key'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run compare sweep" -l variant -x -d 'Only this one'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l log -r -F -d 'Write the lifecycle log'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l html -r -F -d 'Write a page'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l diagram -d 'Draw what was sent'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l measures -d 'All that was measured'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run" -l json -d 'The result as JSON'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from run compare sweep claims" -l full -d 'Also what takes minutes on a kernel'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from sweep" -l shard -x -d 'Only a part, I/N'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from sweep" -s o -l output -r -F -d 'Added to'
complete -c lastack -n "$lab; and __fish_seen_subcommand_from claims" -l format -x -a 'text json markdown' -d 'Of the table'
