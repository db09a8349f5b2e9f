package api

import "time"

// Audit is what was changed, and tried to be.
type Audit struct {
	Entries []AuditEntry `json:"entries" doc:"The newest first."`
	Next    string       `json:"next,omitempty" doc:"For after, where there are more."`
}

// AuditEntry is a change.
type AuditEntry struct {
	N       uint64    `json:"n" doc:"Its number: one more with each."`
	Time    time.Time `json:"time" doc:"When the answer was out."`
	Op      string    `json:"op" doc:"The operation, such as submitJob; or login, logout, token (one that is no good), admin (one of an administrator is in use)."`
	Outcome string    `json:"outcome" enum:"ok|refused|failed" doc:"refused: who asked may not, or asked for what cannot be. failed: by an error of the server."`
	Status  int       `json:"status,omitempty" doc:"Of the answer."`
	Error   string    `json:"error,omitempty" doc:"A word for programs."`
	Owner   string    `json:"owner,omitempty" doc:"Who."`
	Token   string    `json:"token,omitempty" doc:"Id of the token, as in rpipe token list."`
	By      string    `json:"by,omitempty" doc:"How the server knew: token, session, certificate, or place: who asks from this machine."`
	Address string    `json:"address,omitempty" doc:"From where."`
	Agent   string    `json:"agent,omitempty" doc:"The program, as it calls itself."`
	Request string    `json:"request,omitempty" doc:"Id of the request, as in the access log."`
	Targets []string  `json:"targets,omitempty" doc:"Ids and names of what was changed, the first 100."`
	More    int       `json:"more,omitempty" doc:"How many beyond those."`
	Note    string    `json:"note,omitempty" doc:"What else there is to say."`
}

// Sessions are browsers that have logged in.
type Sessions struct {
	Sessions []Session `json:"sessions" doc:"The newest first."`
}

// Session is one of them.
type Session struct {
	ID      string    `json:"id" doc:"Names it; opens nothing."`
	Owner   string    `json:"owner" doc:"Whose it is."`
	Token   string    `json:"token" doc:"Id of the token that it was begun with, and ends with."`
	Started time.Time `json:"started" doc:"When."`
	Used    time.Time `json:"used" doc:"When something was last asked with it, to some minutes."`
	Address string    `json:"address,omitempty" doc:"From where it was begun."`
	Agent   string    `json:"agent,omitempty" doc:"The browser, as it calls itself."`
	Current bool      `json:"current,omitempty" doc:"It is the one that asks."`
}

// Ended is how many sessions were ended.
type Ended struct {
	Ended int `json:"ended" doc:"Log-ins that were ended."`
}

// NotifyTargets are where notifications go.
type NotifyTargets struct {
	Targets []NotifyTarget `json:"targets" doc:"By name."`
}

// NotifyTarget is one of them, with its figures since the server has started.
type NotifyTarget struct {
	Name      string    `json:"name" doc:"In rpipe.yaml."`
	Host      string    `json:"host" doc:"Of its address, the rest of which is secret."`
	Format    string    `json:"format" enum:"json|slack" doc:"What is sent."`
	Only      Strings   `json:"only,omitempty" doc:"The events that it gets; without it all."`
	Waiting   int       `json:"waiting" doc:"Notifications that are not delivered yet."`
	Delivered uint64    `json:"delivered" doc:"Those that were."`
	Retried   uint64    `json:"retried" doc:"Attempts after which another followed."`
	Failed    uint64    `json:"failed" doc:"Notifications that were given up."`
	LastError string    `json:"last_error,omitempty" doc:"Why the last attempt failed; gone with the next that does not."`
	LastTime  time.Time `json:"last_time,omitzero" doc:"Of the last attempt."`
}

// NotifyTest is what came of a test.
type NotifyTest struct {
	Delivered bool   `json:"delivered" doc:"The target has taken it."`
	Error     string `json:"error,omitempty" doc:"Why not."`
}
