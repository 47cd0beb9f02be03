# Makes the folder $1 and, when its input ends, ends what runs there and removes the folder. So there is no moment at which the
# folder exists and nobody watches it. Each line of the input is the process group that runs there now, or 0 when none does.
# A zombie that nobody reaps still counts as alive, hence the second look at postmaster.pid. All waiting is bounded.

trap '' HUP INT QUIT TERM PIPE
mkdir -m 711 -- "$1" || exit 1
echo ready
exec >/dev/null 2>&1

group=0
while read -r line; do group=$line; done

if [ "$group" != 0 ]; then
	kill -s QUIT -- "-$group" # PostgreSQL's immediate shutdown
	tries=0
	while kill -s 0 -- "-$group" && [ -e "$1/data/postmaster.pid" ] && [ $tries -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	kill -s KILL -- "-$group"
fi

tries=0
until rm -rf -- "$1"; do # it fails while a dying program still writes there
	[ $tries -lt 100 ] || exit 1
	sleep 0.1
	tries=$((tries + 1))
done
