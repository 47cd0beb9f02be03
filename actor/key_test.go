package actor

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

type (
	number   int
	redacted string
	angry    uint8
	uuid     [16]byte
	digest   [4]byte
	pair     struct{ a, b any }
	spoken   struct{ headers map[string]string }
	faulty   string
)

func (redacted) String() string { return "***" }
func (redacted) MarshalJSON() ([]byte, error) {
	return nil, errors.New("nobody else's method is called")
}
func (angry) String() string     { panic("angry") }
func (u uuid) String() string    { return fmt.Sprintf("%x-%x", u[:4], u[4:6]) }
func (s *spoken) String() string { return fmt.Sprint(s.headers) }
func (faulty) Error() string     { return "an error" }

func TestShownKey(t *testing.T) {
	long := strings.Repeat("ä", 100)
	for _, test := range []struct{ key, want any }{
		{7, 7},
		{number(7), number(7)},
		{uint8(7), uint8(7)},
		{uintptr(7), uintptr(7)},
		{1.5, 1.5},
		{math.Inf(1), math.Inf(1)},
		{2i, 2i},
		{true, true},
		{"request 7", "request 7"},
		{"", `""`},
		{"two\nlines\x1b[31m", `"two\nlines\x1b[31m"`},
		{"no text: \xff", `"no text: \xff"`},
		{long, strings.Repeat("ä", 63) + "…"},
		{redacted("secret"), "***"},
		{faulty("x"), "an error"},
		{angry(1), "%!v(PANIC=String method: angry)"},
		{uuid{0xab, 0xcd, 1, 2, 3, 4}, "abcd0102-0304"},
		{digest{0xab, 0xcd}, "abcd0000"},
		{[0]byte{}, `""`},
		{[64]byte{}, strings.Repeat("0", 63) + "…"},
		{nil, "<nil>"},
	} {
		got := ShownKey(test.key)
		assert.Equal(t, test.want, got)
		assert.Equal(t, got, ShownKey(got), "it is shown as it is")
		assert.NotContains(t, (&BusyError{Key: test.key}).Error(), "secret")
	}
}

// Anything that may have more behind it is its type and a number.
func TestShownKeyOfWhatIsNoScalar(t *testing.T) {
	one, two := &spoken{map[string]string{"token": "secret"}}, &spoken{}
	request, err := http.NewRequest("GET", "http://example.com/", nil)
	assert.NoError(t, err)
	request.Header.Set("Authorization", "Bearer secret")
	seen := map[any]any{}
	for _, test := range []struct {
		key  any
		want string
	}{
		{one, "*actor.spoken"},
		{two, "*actor.spoken"},
		{request, "*http.Request"},
		{pair{one, 1}, "actor.pair"},
		{pair{two, 1}, "actor.pair"},
		{pair{"secret", 1}, "actor.pair"},
		{make(chan int), "chan int"},
		{[1]any{one}, "[1]interface {}"},
		{[2]int{1, 2}, "[2]int"},
		{struct{ secret string }{"secret"}, "struct { secret string }"},
	} {
		got := ShownKey(test.key)
		assert.Regexp(t, `^\Q`+test.want+`\E #[0-9a-f]{6}$`, got)
		assert.Equal(t, got, ShownKey(test.key), "the same for the same key")
		assert.Equal(t, got, ShownKey(got))
		assert.Empty(t, seen[got], "of another key")
		seen[got] = test.key
		for _, text := range texts(t, got) {
			assert.NotContains(t, strings.ReplaceAll(text, "struct { secret string }", ""), "secret")
		}
		assert.Contains(t, (&BusyError{Key: test.key}).Error(), got)
		assert.Contains(t, LeaseInfo{Key: test.key}.String(), got)
	}
	assert.Equal(t, ShownKey(pair{"a", 1}), ShownKey(pair{"a", 1}), "of an equal key")
	for _, no := range []any{[]int{1}, func() {}, pair{[]int{1}, 1}, &[]int{1}} {
		assert.Regexp(t, ` #[0-9a-f]{6}$`, ShownKey(no))
		assert.NotContains(t, (&KeyError{Key: no, Reason: "no"}).Error(), "#")
	}
}

// texts are the ways in which a list of leases becomes a text.
func texts(t *testing.T, key any) []string {
	l := LeaseInfo{ID: 1, Key: key}
	j, err := json.Marshal(l)
	assert.NoError(t, err)
	return []string{string(j), fmt.Sprint(l), fmt.Sprintf("%+v", []LeaseInfo{l}), fmt.Sprintf("%#v", l.Key), Event{Lease: &l}.String(),
		(&WaitError{Err: ErrTimeout, Cause: ErrExhausted, Shortage: Shortage{Leases: []LeaseInfo{l}}}).Error()}
}
