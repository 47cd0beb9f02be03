package actor

// background runs f. All goroutines of a supervisor have it in their stack, under a name
// that neither the type of its resources nor the work changes: a program that looks for
// leaked goroutines names it to have those of an open pool left out. It is documented, and
// so must not be renamed or inlined.
//
//go:noinline
func background(f func()) { f() }
