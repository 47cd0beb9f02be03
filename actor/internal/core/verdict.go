package core

// A Verdict says what is to be done with a resource.
type Verdict uint8

// The verdicts, from the best to the worst.
const (
	Keep    Verdict = iota // fit for the next borrower
	Clean                  // cleaned by a helper first
	Check                  // checked by a helper first
	Discard                // closed
	Alarm                  // closed, and the others are checked: what broke it may have broken them
)

var verdictNames = [...]string{Keep: "keep", Clean: "clean", Check: "check", Discard: "discard", Alarm: "alarm"}

// String names the verdict.
func (v Verdict) String() string {
	if int(v) >= len(verdictNames) {
		return "unknown verdict"
	}
	return verdictNames[v]
}
