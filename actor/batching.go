package actor

// batch bounds the messages between two settles, so that deadlines are kept
// however busy the inbox is.
const batch = 256

// batching finds out whether it pays to let others send before the inbox is read. Where
// borrowers wait for one another, many are about to, and one wake does for all of them.
// Where they wait for a server few are: then what was put lies idle while the supervisor
// is at the end of the line. So now and then it lets them for a few wakes, and goes on
// for as long as enough messages come.
type batching struct {
	pays  bool
	since int // wakes since that was last looked at
	lets  int // wakes of this look
	sum   int // messages that came in them
}

const (
	batchPays  = 4 // messages, on the average of a look
	batchLook  = 8
	batchEvery = 256
)

// let says whether to let others send.
func (b *batching) let() bool {
	b.since++
	return b.pays || b.since > batchEvery
}

// came notes how many messages there were after others were let.
func (b *batching) came(n int) {
	b.sum += n
	if b.lets++; b.lets == batchLook {
		*b = batching{pays: b.sum >= batchLook*batchPays}
	}
}
