package stages

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// absences finds paths that lead nowhere in any of the first answers: a misspelt
// one would else leave the rows out, or a column empty, and say nothing.
type absences struct {
	requests []*compiledRequest
	most     int          // answers that are looked at
	of       []absentFrom // by request
}

// absentFrom is what the answers of one request have lacked.
type absentFrom struct {
	answers int      // that were looked at
	each    string   // what is wrong with response.each; "" once an answer had it
	columns []string // what is wrong with each column, and "" likewise
	records int
	judged  bool
}

func newAbsences(requests []*compiledRequest, most int) *absences {
	return &absences{requests: requests, most: most, of: make([]absentFrom, len(requests))}
}

// look at the answers of a row.
func (a *absences) look(r *fetchedRow, warn func(text string)) error {
	for i, q := range a.requests {
		of, answer := &a.of[i], &r.answers[i]
		if of.judged || answer.document == nil || q.Response.Format != "json" || q.each == nil && len(q.columns) == 0 {
			continue
		}
		of.look(q, answer)
		if of.answers >= a.most {
			if err := of.judge(q, warn); err != nil {
				return err
			}
		}
	}
	return nil
}

// end judges where fewer answers than that have come.
func (a *absences) end(warn func(text string)) error {
	for i, q := range a.requests {
		if err := a.of[i].judge(q, warn); err != nil {
			return err
		}
	}
	return nil
}

func (of *absentFrom) look(q *compiledRequest, a *fetchAnswer) {
	records := [][]byte{a.document}
	if q.each != nil {
		text, _ := AbsentKey(*q.each, a.document)
		if of.answers == 0 || text == "" {
			of.each = text
		}
		records = nil
		if list, ok := q.each.Find(a.document); ok && list[0] == '[' {
			_ = ndjson.Elements(list, func(element []byte) error { // it has been read before
				records = append(records, element)
				return nil
			})
		}
	}
	of.answers++
	for _, record := range records {
		if of.columns == nil {
			of.columns = make([]string, len(q.columns))
		}
		for k, c := range q.columns {
			if of.records == 0 || of.columns[k] != "" {
				of.columns[k], _ = AbsentKey(c.path, record)
			}
		}
		of.records++
	}
}

// judge ends the run where no answer had the list, and warns of columns that no
// record had.
func (of *absentFrom) judge(q *compiledRequest, warn func(text string)) error {
	if of.judged || of.answers == 0 {
		return nil
	}
	of.judged = true
	if of.each != "" {
		return fmt.Errorf("%sresponse.each, %s, leads to nothing in any of the first %d answers: %s", q.label(), q.Response.Each, of.answers, of.each)
	}
	for k, c := range q.columns {
		if k < len(of.columns) && of.columns[k] != "" {
			warn(fmt.Sprintf("%sresponse.columns.%s, %s, leads to nothing in any of the first %d answers, and the column is empty: %s",
				q.label(), c.name, c.path, of.answers, of.columns[k]))
		}
	}
	return nil
}
