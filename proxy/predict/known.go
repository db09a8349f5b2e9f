package predict

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
)

// known asks a worker for the function, so that a misspelt name is found at the
// start and not by the first client. It brings the environment up.
func known(ctx context.Context, o *Options) error {
	fun := o.Endpoint.Fun
	if ns, name, ok := strings.Cut(fun, "::"); ok {
		_, err := ask(ctx, o, "getExportedValue", rdata.NewCharacter([]string{ns}), rdata.NewCharacter([]string{strings.TrimPrefix(name, ":")}))
		return err
	}
	there, err := ask(ctx, o, "exists", rdata.NewCharacter([]string{fun}))
	if err != nil {
		return err
	}
	if v, ok := there.(*rdata.Logical); ok && len(v.Values) == 1 && v.Values[0] == 1 {
		return nil
	}
	_, err = ask(ctx, o, fun) // for R's words, which name what comes near
	if err != nil && o.Env.Handler != "" {
		err = fmt.Errorf("%w; functions inside the API's own file are not seen: put it into a file that the API sources, or under r.source", err)
	}
	return err
}

// ask calls an R function with arguments that have no names.
func ask(ctx context.Context, o *Options, fun string, args ...rdata.Value) (rdata.Value, error) {
	data, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{rdata.NewCharacter([]string{fun}), &rdata.List{Values: args}}})
	if err != nil {
		return nil, err
	}
	reply, err := o.Pool.Do(ctx, o.Env, rpool.Interactive, &rpool.Request{Kind: rpool.Call, Data: data})
	var condition *rpool.ConditionError
	if errors.As(err, &condition) {
		return nil, errors.New(condition.Message)
	}
	if err != nil {
		return nil, err
	}
	return rdata.UnmarshalItem(reply.Data, nil)
}
