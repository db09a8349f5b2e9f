package bench

import (
	"fmt"
	"math/rand/v2"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Environment has the two functions of the figures: same returns its data as
// it is, add adds a column.
var Environment = &rpool.Environment{
	Setup: "same <- function(df) df\nadd <- function(df) { df$sum <- df$x + df$y; df }",
}

// Frames makes rows of three doubles, an integer and a string, in frames of
// size rows. The strings have as many different values as distinct says.
func Frames(rows, size, distinct int) ([]frame.Frame, error) {
	double := arrow.PrimitiveTypes.Float64
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "x", Type: double, Nullable: true},
		{Name: "y", Type: double, Nullable: true},
		{Name: "z", Type: double, Nullable: true},
		{Name: "n", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "key", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	random := rand.New(rand.NewPCG(1, 2))
	var frames []frame.Frame
	for from := 0; from < rows; from += size {
		b := frame.NewBuilderSize(schema, size)
		for i := from; i < min(from+size, rows); i++ {
			for c := range 3 {
				b.Column(c).AppendDouble(random.Float64())
			}
			b.Column(3).AppendInt32(int32(i))
			b.Column(4).AppendString(fmt.Sprintf("key-%07d", i%distinct))
		}
		f, err := b.Frame()
		if err != nil {
			return nil, err
		}
		frames = append(frames, f)
	}
	return frames, nil
}
