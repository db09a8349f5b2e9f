package stages

import (
	"strconv"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rdata"
)

// encodeArgs makes the named list of further arguments that an R function is
// called with: true and false become logical, numbers double (integer where
// they are written 5L), anything else, and what is in quotes, character. Nil for none.
func encodeArgs(args configs.Pairs) ([]byte, error) {
	if len(args) == 0 {
		return nil, nil
	}
	names := make([]string, len(args))
	values := make([]rdata.Value, len(args))
	for i, a := range args {
		names[i], values[i] = a.Name, argument(a)
	}
	list := &rdata.List{
		Values: values,
		Attrs:  rdata.Attributes{{Name: "names", Value: rdata.NewCharacter(names)}},
	}
	return rdata.AppendItem(nil, list)
}

func argument(p configs.Pair) rdata.Value {
	text := p.Value
	if p.Quoted {
		return rdata.NewCharacter([]string{text})
	}
	switch text {
	case "true", "TRUE":
		return &rdata.Logical{Values: []int32{1}}
	case "false", "FALSE":
		return &rdata.Logical{Values: []int32{0}}
	}
	if n := len(text); n > 1 && text[n-1] == 'L' {
		if v, err := strconv.ParseInt(text[:n-1], 10, 32); err == nil {
			return &rdata.Integer{Values: []int32{int32(v)}}
		}
	}
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return &rdata.Double{Values: []float64{v}}
	}
	return rdata.NewCharacter([]string{text})
}
