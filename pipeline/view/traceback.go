package view

import (
	"fmt"
	"io"
)

// Traceback prints R's calls, the innermost last; nothing where there are none.
func Traceback(w io.Writer, calls []string) {
	if len(calls) == 0 {
		return
	}
	fmt.Fprintln(w, "  R traceback, innermost last:")
	for _, call := range calls {
		fmt.Fprintf(w, "    %s\n", clean(call))
	}
}
