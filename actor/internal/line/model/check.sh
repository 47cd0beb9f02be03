#!/usr/bin/env bash
# Verifies line.pml with spin in several settings (Debian packages: spin, gcc), two at a time. Then breaks the
# protocol, one step at a time, and sees that spin finds each break. Takes a minute on two idle cores, and at most
# 4 GB.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# verify MODEL SETTING prints the verdict: "errors: N", with what was violated if N is not 0. A search that ends
# early, at the limit of depth or of memory, is not a verdict: it prints that instead.
verify() {
	local dir out
	dir=$(mktemp -d -p "$work")
	cp "$1" "$dir/line.pml"
	# shellcheck disable=SC2086 # a setting is several words
	if ! (cd "$dir" && spin -a $2 line.pml && gcc -O0 -DSAFETY -DMEMLIM=2000 -o pan pan.c) >"$dir/log" 2>&1; then
		echo "does not compile: $(head -3 "$dir/log")"
		return
	fi
	out=$(cd "$dir" && ./pan -m200000 -w22 2>&1) || true
	rm -rf "$dir"
	if grep -qE 'max search depth too small|out of memory|reached -DMEMLIM|Search not completed' <<<"$out" && ! grep -qE 'errors: [1-9]' <<<"$out"; then
		echo "search not completed"
	else
		grep -oE '^pan:1: .*|errors: [0-9]+' <<<"$out" | tr '\n' ' '
	fi
}

# sound SETTING fails unless the model is right in it.
sound() {
	local verdict
	verdict=$(verify line.pml "$1")
	echo "$1: $verdict(${SECONDS} s)"
	[[ $verdict == "errors: 0 " ]]
}

# broken WHAT|SED|SETTING fails unless spin finds an error in the model after the edit.
broken() {
	local what=${1%%|*} rest=${1#*|} model verdict
	local setting=${rest##*|} edit=${rest%|*}
	model=$(mktemp -p "$work")
	sed -E "$edit" line.pml >"$model"
	if cmp -s "$model" line.pml; then
		echo "NO SUCH STEP: $what"
		return 1
	fi
	verdict=$(verify "$model" "$setting")
	if [[ ! $verdict =~ errors:\ [1-9] ]]; then
		echo "NOT FOUND: $what: $verdict"
		return 1
	fi
	echo "found: $what"
}

export -f verify sound broken
export work

settings=(
	# All fit in hand, and not: with one place and two tokens the owner has to put a token back.
	"-DN=2 -DB=2 -DR=1 -DH=1 -DCANCEL"
	"-DN=2 -DB=2 -DR=1 -DH=2 -DCANCEL"
	"-DN=1 -DB=2 -DR=2 -DH=1 -DCANCEL"
	"-DN=1 -DB=3 -DR=1 -DH=1 -DDISCARD -DFAIL"
	"-DN=1 -DB=2 -DR=2 -DH=1 -DDISCARD -DFAIL"
	"-DN=2 -DB=2 -DR=1 -DH=1 -DCANCEL -DDISCARD -DFAIL"
	"-DN=2 -DB=2 -DR=1 -DH=1 -DREFUSE"
	"-DN=1 -DB=2 -DR=1 -DH=1 -DREFUSE -DCANCEL -DFAIL"
	"-DN=2 -DB=2 -DR=1 -DH=1 -DROUND -DDISCARD"
	"-DN=1 -DB=2 -DR=1 -DH=1 -DPAUSE -DCANCEL -DDISCARD"
	"-DN=2 -DB=2 -DR=1 -DH=1 -DEND"
	"-DN=1 -DB=2 -DR=1 -DH=1 -DEND -DCANCEL -DDISCARD -DFAIL"
	"-DN=1 -DB=2 -DR=1 -DH=1 -DEND -DPAUSE"
)

breaks=(
	'a put does not look for a token again|/^inline Pass/,/^}/s/if :: want > 0 -> Grab\(v\) :: else -> break fi;/break;/|-DN=1 -DB=2 -DR=2 -DH=1'
	'a get does not look at idle again|/^inline Await/,/^}/s/^     Take\(v\);/     v = 0;/|-DN=1 -DB=2 -DR=1 -DH=1'
	'a get keeps a value though an answer is coming|/^inline Await/,/^}/s/if :: ok -> skip :: else -> Pass.*/skip/|-DN=2 -DB=2 -DR=1 -DH=1'
	'a get does not wake the owner|s/if :: !saturated -> inbox!WAKE :: else -> skip fi;/skip;/|-DN=1 -DB=2 -DR=1 -DH=1'
	'a waiter does not look whether the line has ended|s/^  :: ended -> Leave/  :: false -> Leave/|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
	'a get looks whether the line has ended before it posts its token|s/^        want\+\+;.*/        ok = ended; want++;/;s/^  :: ended -> Leave/  :: ok -> Leave/|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
	'a waiter that gives up does not receive the answer on its way|/^inline Leave/,/^}/s/:: hand\?v; if .*/:: else -> skip/|-DN=1 -DB=2 -DR=1 -DH=1 -DCANCEL'
	'a waiter that gives up keeps the value|/^inline Leave/,/^}/s/Pass\(v, ok\)/skip/|-DN=1 -DB=2 -DR=1 -DH=1 -DCANCEL'
	'a waiter that gives up receives though its token lies there|/^inline Leave/,/^}/s/^  Claim\(ok\);/  ok = false;/|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
	'the owner does not put a token back|/^inline Answer/,/^}/s/:: else -> want\+\+ fi/:: else -> skip fi/|-DN=2 -DB=2 -DR=1 -DH=1'
	'the owner does not try again|/^  :: again \&\& /d|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
	'a value returned is not matched|/ Return.s \*\/$/d|-DN=1 -DB=2 -DR=1 -DH=1 -DROUND'
	'after the gate is opened nothing is matched|/ settle.s \*\/$/d|-DN=1 -DB=2 -DR=1 -DH=1 -DPAUSE'
	'after a token is put back nothing is matched|/ settle.s \*\/$/d|-DN=2 -DB=3 -DR=1 -DH=1 -DREFUSE'
	'a discard does not clear full|s/opened--; saturated = false$/opened--/|-DN=1 -DB=2 -DR=1 -DH=1 -DDISCARD'
	'values laid while the gate is shut are not drawn|/^  :: gate \&\& \(len\(top\)/d|-DN=1 -DB=1 -DR=1 -DH=1 -DEND'
	'the owner ends without refusing|/^        atomic \{ i = 1;/,/RefuseAll/s/RefuseAll\(v, ok, done\)/skip/|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
	'the owner refuses before ended is closed|s/gate = true; ended = true/gate = true/;s/-> over = true; break/-> ended = true; over = true; break/|-DN=1 -DB=2 -DR=1 -DH=1 -DEND'
)

bad=0
echo "The protocol in ${#settings[@]} settings:"
printf '%s\0' "${settings[@]}" | xargs -0 -P2 -I{} bash -c 'sound "$1"' - {} || bad=1
echo "Each of ${#breaks[@]} steps broken:"
printf '%s\0' "${breaks[@]}" | xargs -0 -P2 -I{} bash -c 'broken "$1"' - {} || bad=1
exit $bad
