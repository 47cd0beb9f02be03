package keyed

// A Scope limits the uses of a hold to a part of a program, such as a transaction: once it
// has ended, no turn begins. A turn that has begun before goes on.
type Scope struct {
	Over  <-chan struct{} // closed at its end
	Also  <-chan struct{} // closed, if it is not nil, ends it too
	Outer *Scope          // which it is a part of: its end is this one's too; nil: of none
	Err   error           // what a use is told after the end
}

// look returns the error of a scope that has ended. nil is a scope that never ends.
func (s *Scope) look() error {
	for ; s != nil; s = s.Outer {
		if isClosed(s.Over) || isClosed(s.Also) {
			return s.Err
		}
	}
	return nil
}
