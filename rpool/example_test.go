package rpool_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// A request calls an R function with values; the reply holds its value. An error
// in R is a *ConditionError, and the worker lives on.
func ExamplePool_Do() {
	pool, err := rpool.New(rpool.Options{Max: 2})
	if err != nil {
		panic(err)
	}
	defer pool.Close()
	env := &rpool.Environment{Setup: `hypotenuse <- function(a, b) {
		if (a < 0 || b < 0) stop("a side cannot be negative")
		sqrt(a^2 + b^2)
	}`}
	call := func(fun string, numbers ...float64) (rdata.Value, error) {
		args := &rdata.List{}
		for _, x := range numbers {
			args.Values = append(args.Values, &rdata.Double{Values: []float64{x}})
		}
		name := &rdata.Character{Offsets: []int64{0, int64(len(fun))}, Data: []byte(fun)}
		data, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{name, args}})
		if err != nil {
			return nil, err
		}
		reply, err := pool.Do(context.Background(), env, rpool.Interactive, &rpool.Request{Kind: rpool.Call, Data: data})
		if err != nil {
			return nil, err
		}
		return rdata.UnmarshalItem(reply.Data, nil)
	}

	v, err := call("hypotenuse", 3, 4)
	if err != nil {
		panic(err)
	}
	fmt.Println(v.(*rdata.Double).Values[0])

	_, err = call("hypotenuse", -3, 4)
	var condition *rpool.ConditionError
	fmt.Println(errors.As(err, &condition), condition.Message)
	// Output:
	// 5
	// true a side cannot be negative
}
