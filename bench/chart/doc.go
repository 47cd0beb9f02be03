// Command chart draws pictures from the file that bench writes, as SVG:
//
//	go run ./bench -o bench/result.json
//	cd bench/chart && go run . -in ../result.json -out ../pictures
//
// It is a module of its own, so that pgactor's users need no plotting library. For the
// same reason package puddle, which compares the supervisor with pgxpool's, is here.
//
// # Reading the code
//
// pictures.go says which pictures there are, and picture_*.go make them; file.go reads,
// and stat.go is the arithmetic; sheet.go is the paper, with its title and its caption;
// panel.go is what all diagrams have in common, and bars.go, lines.go and forest.go are
// the three kinds of them; style.go has the colours and the fonts.
package main
