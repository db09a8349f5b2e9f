package frame

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// peer is one R process that all tests of the package share: it gets an
// expression and a data frame called df, and answers with the value.
type peer struct {
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err error
}

const peerR = `
input <- file("stdin", "rb", raw = TRUE)
output <- file("/dev/fd/3", "wb", raw = TRUE)
header <- serialize(NULL, NULL, xdr = FALSE, version = 2)[1:14]
receive <- function() {
  n <- readBin(input, "integer", 1L, endian = "little")
  if (length(n) == 0L) quit("no")
  readBin(input, "raw", n)
}
repeat {
  code <- rawToChar(receive())
  Encoding(code) <- "UTF-8"
  item <- receive()
  value <- tryCatch({
    df <- if (length(item)) unserialize(c(header, item))
    eval(parse(text = code, encoding = "UTF-8"), list2env(list(df = df), parent = globalenv()))
  }, error = function(e) structure(list(conditionMessage(e)), class = "failure"))
  value <- serialize(value, NULL, xdr = FALSE, version = 2)[-(1:14)]
  writeBin(length(value), output, endian = "little")
  writeBin(value, output)
  flush(output)
}
`

var shared peer

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.cmd != nil {
		shared.in.Close() // R reads the end and quits
		if err := shared.cmd.Wait(); err != nil {
			fmt.Fprintln(os.Stderr, "R:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func (p *peer) start() error {
	if p.cmd != nil || p.err != nil {
		return p.err
	}
	script, err := os.CreateTemp("", "peer*.R")
	if err != nil {
		return err
	}
	defer script.Close()
	if _, err := script.WriteString(peerR); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	cmd := exec.Command("Rscript", "--vanilla", script.Name())
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.out = cmd, bufio.NewReader(r)
	// The first answer says that R has read the script.
	_, err = p.call("TRUE", nil)
	os.Remove(script.Name())
	return err
}

func (p *peer) call(code string, item []byte) ([]byte, error) {
	for _, b := range [][]byte{[]byte(code), item} {
		if err := binary.Write(p.in, binary.LittleEndian, int32(len(b))); err != nil {
			return nil, err
		}
		if _, err := p.in.Write(b); err != nil {
			return nil, err
		}
	}
	var n int32
	if err := binary.Read(p.out, binary.LittleEndian, &n); err != nil {
		return nil, err
	}
	answer := make([]byte, n)
	_, err := io.ReadFull(p.out, answer)
	return answer, err
}

// evalR evaluates code in R with df, and returns the value as an item.
func evalR(t testing.TB, code string, item []byte) []byte {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("R inherits no third file on Windows")
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.err = shared.start(); shared.err != nil {
		t.Fatal("start R:", shared.err)
	}
	answer, err := shared.call(code, item)
	if err != nil {
		t.Fatalf("R: %s: %v", code, err)
	}
	if v, err := rdata.UnmarshalItem(answer, nil); err != nil {
		t.Fatalf("R: %s: %v", code, err)
	} else if rdata.Inherits(v, "failure") {
		s, _ := v.(*rdata.List).Values[0].(*rdata.Character).At(0)
		t.Fatalf("R: %s: %s", code, s)
	}
	return answer
}
