package broker

import "github.com/nats-io/nats-server/v2/server"

// workerInbox is where workers get answers: not where others do.
const workerInbox = "_W"

// users are those who may connect through the port. Serve may do all; a worker may write
// records, work, logs, presence and objects, read all of them, and answer messages. It
// can make or drop no streams, and take no part in the election of leaders.
func (c *Cluster) users() []*server.NkeyUser {
	publish := []string{
		"rp.s.>", "rp.w.>", "rp.log.>", "rp.live.>", "rp.b.>", "rp.d.>", "rp.m.>", "rp.x.>",
		"$JS.API.INFO",
		"$JS.ACK." + workStream + ".>",
		"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES",
		"$JS.API.DIRECT.GET.>", "$JS.API.STREAM.MSG.GET.*",
		"$JS.API.STREAM.PURGE." + chunkStream, "$JS.API.STREAM.PURGE." + blobStream,
		"$JS.API.STREAM.MSG.DELETE." + workStream,
		"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.CREATE.>", "$JS.API.CONSUMER.INFO.>",
		"$JS.API.CONSUMER.MSG.NEXT.>",
		"$JS.FC.>",
	}
	for _, s := range []string{recordStream, liveStream, logStream, chunkStream, blobStream} {
		publish = append(publish, "$JS.API.CONSUMER.DELETE."+s+".*")
	}
	return []*server.NkeyUser{
		{Nkey: c.public[roleServe]},
		{Nkey: c.public[roleWorker], Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish, Deny: []string{"rp.live.leader.>"}},
			// A worker listens to messages for workers and to changes, and to nobody's answers.
			Subscribe: &server.SubjectPermission{Allow: []string{workerInbox + ".>", "rp.m.>", "rp.x.>", "rp.log.>"}},
			Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: server.DEFAULT_ALLOW_RESPONSE_EXPIRATION},
		}},
	}
}
