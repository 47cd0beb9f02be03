package main

// A picture is made of a file; of one without the measurements for it there is none.
type picture struct {
	name string
	draw func(file) *sheet
}

var pictures = []picture{
	{"getput.svg", drawGetPut},
	{"ratio.svg", drawRatio},
	{"wait.svg", drawWait},
	{"query.svg", drawQuery},
	{"growth.svg", drawGrowth},
}

// caption says where and how it was measured.
func (f file) caption(how string) []string {
	return []string{
		f.Machine.String(),
		how + " of rounds in which the peers took turns in one process.",
	}
}
