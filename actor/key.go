package actor

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// ShownKey returns what stands for a key in errors, events and lists of leases. These
// are read by other goroutines, later, and end up in logs; a key may be anything, such
// as a pointer to what its owner goes on to change. So the text never follows a pointer:
//
//   - a number, a bool or a string without methods is shown as it is; a string that is
//     long or has characters that cannot be printed is shortened and quoted;
//   - such a value with a String method is what that says;
//   - a byte array, such as a UUID, is what its String method says, else hexadecimal;
//   - anything else is its type and a number that is the same for the same key while it
//     lives. A String method of its own is not called.
//
// What ShownKey returns is shown as it is.
func ShownKey(key any) any {
	if t := reflect.TypeOf(key); t == nil || !isScalar(t.Kind()) || t.NumMethod() > 0 {
		return keyText(key)
	}
	if v := reflect.ValueOf(key); v.Kind() == reflect.String {
		if text := plain(v.String()); text != v.String() {
			return text
		}
	}
	return key
}

// keyText is the text of a key, see [ShownKey].
func keyText(key any) string {
	t := reflect.TypeOf(key)
	_, speaks := key.(fmt.Stringer)
	switch {
	case t == nil:
		return "<nil>"
	case isScalar(t.Kind()), isBytes(t) && speaks:
		return plain(fmt.Sprint(key)) // fmt survives a String that panics
	case isBytes(t):
		return plain(fmt.Sprintf("%x", key))
	default:
		return fmt.Sprintf("%s #%06x", plain(t.String()), keyNumber(key))
	}
}

func isScalar(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Complex128 || k == reflect.String
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8
}

var keySeed = maphash.MakeSeed()

// keyNumber returns a number that tells keys of one type apart, for a reader. It looks at
// the key itself, at no more than a comparison does.
func keyNumber(key any) (n uint64) {
	defer func() { _ = recover() }() // not comparable: no key
	return maphash.Comparable(keySeed, key) & 0xffffff
}

// longestText is how many characters of a text are shown.
const longestText = 64

// plain returns s as a log may have it. What it returns it leaves as it is.
func plain(s string) string {
	if s == "" || !utf8.ValidString(s) || hasUnprintable(s) {
		s = strconv.Quote(s)
	}
	if utf8.RuneCountInString(s) > longestText {
		s = string([]rune(s)[:longestText-1]) + "…"
	}
	return s
}

func hasUnprintable(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}
