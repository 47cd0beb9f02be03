# Makes the folder $1 and, when its input ends, ends what runs there and removes the folder. So there is no moment at which the
# folder exists and nobody watches it. Each line of the input is the process that runs there now, the leader of its process
# group, or 0 when none does. All waiting is bounded.

trap '' HUP INT QUIT TERM PIPE
mkdir -m 711 -- "$1" || exit 1
echo ready
exec >/dev/null 2>&1

leader=0
while read -r line; do leader=$line; done

if [ "$leader" != 0 ]; then
	# For the server this is an immediate shutdown; initdb ends and with it the input of its child, which ends in turn. Killed,
	# they would leave shared memory behind. A zombie that nobody reaps counts as alive, but who has no postmaster.pid has no
	# shared memory.
	kill -s QUIT "$leader"
	tries=0
	while kill -s 0 -- "-$leader" && [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	kill -s KILL -- "-$leader"
fi

tries=0
until rm -rf -- "$1"; do # it fails while a dying program still writes there
	[ $tries -lt 100 ] || exit 1
	sleep 0.1
	tries=$((tries + 1))
done
