//go:build unix

package pooltest

import (
	"io"
	"os"
	"strings"
)

// A logFile is what the cluster's programs write to.
type logFile struct {
	file *os.File
	copy io.Writer // of WithLog, or nil
}

func openLog(path string, copy io.Writer) (*logFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &logFile{file, copy}, nil
}

// output is what to give to a program: the file, or, for a copy, l itself, to which os/exec then copies in a goroutine. Never
// the copy alone: were it a file, the program would inherit it, and "go test" waits for whoever holds its output.
func (l *logFile) output() io.Writer {
	if l.copy == nil {
		return l.file
	}
	return l
}

// Write writes to the file and the copy, whose errors do not matter.
func (l *logFile) Write(b []byte) (int, error) {
	l.copy.Write(b)
	return l.file.Write(b)
}

func (l *logFile) size() int64 {
	info, err := l.file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// tail returns the last lines that were written after the first from bytes.
func (l *logFile) tail(from int64) string {
	const enough = 2048
	begin := max(from, l.size()-enough)
	content := make([]byte, enough)
	n, _ := l.file.ReadAt(content, begin)
	text := string(content[:n])
	if begin > from {
		_, text, _ = strings.Cut(text, "\n") // the rest of a line
	}
	return strings.TrimSpace(text)
}

func (l *logFile) close() { l.file.Close() }
