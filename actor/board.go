package actor

import "time"

// A standing is how things stood when the supervisor last decided something.
type standing struct {
	version                   uint64 // greater is newer
	limit, open, out          int
	opening, mending, closing underWay
	paused                    bool
	failures                  int
	err                       error // of failures
}

// An underWay is how many helpers do one thing, and since when the first of them does.
type underWay struct {
	n     int
	since time.Duration
}

// differs reports whether s says something else than t.
func (s standing) differs(t standing) bool {
	return s.limit != t.limit || s.open != t.open || s.out != t.out ||
		s.opening != t.opening || s.mending != t.mending || s.closing != t.closing || s.paused != t.paused || s.failures != t.failures
}

// A board is where the supervisor posts how things stand, so that a get whose wait was in
// vain can say so without asking. It is a channel of one. A reader takes the standing
// out and posts it again; should a newer one lie there by then, the newer one stays.
type board chan standing

func newBoard() board {
	b := make(board, 1)
	b <- standing{}
	return b
}

// post puts s there, or leaves what is newer. It does not block.
func (b board) post(s standing) {
	for {
		select {
		case b <- s:
			return
		default:
		}
		select {
		case other := <-b:
			if other.version > s.version {
				s = other
			}
		default: // a reader has taken it
		}
	}
}

// read returns what is there. It blocks at most until another reader has posted.
func (b board) read() standing {
	s := <-b
	b.post(s)
	return s
}
