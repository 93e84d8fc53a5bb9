# Ends the server whose directory is $1 and removes the directory, once standard input has ended. Run by place.rs.
# A process id alone proves nothing (ids are reused): the process must have the data directory in its arguments.
read -r _
trap '' HUP INT TERM
data=$1/data

ours() {
    pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
    if [ -d /proc/self ]; then
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -Fxq -- "$data"
    else
        ps -o args= -p "$pid" 2>/dev/null | grep -Fq -- "$data"
    fi
}

# SIGQUIT is PostgreSQL's immediate shutdown, which takes milliseconds; after ten seconds there is nothing to be polite about.
if ours; then kill -QUIT "$pid"; fi
tries=0
while ours; do
    if [ "$tries" -eq 200 ]; then kill -KILL "$pid"; break; fi
    tries=$((tries + 1))
    sleep 0.05
done
rm -rf -- "$1"
