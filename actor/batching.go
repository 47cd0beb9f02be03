package actor

// batch bounds the messages between two settles, so that deadlines are kept
// however busy the inbox is.
const batch = 256

// batching finds out whether it pays to let others send before the inbox is read. Where
// borrowers wait for one another, many are about to, and one wake does for all of them.
// Where they wait for a server few are: then what was put lies idle while the supervisor
// is at the end of the line.
type batching struct {
	turn int
	sum  int // eight times how many came when others were let, on the average of late
}

// The supervisor lets others send while that many come on the average, and else now and
// then, to see whether they do.
const (
	batchPays = 4
	batchTry  = 64 // turns
)

func (b *batching) pays() bool {
	b.turn++
	return b.sum >= 8*batchPays || b.turn%batchTry == 0
}

// came notes how many messages there were after others were let.
func (b *batching) came(n int) { b.sum += n - b.sum/8 }
