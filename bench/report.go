//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// about is what is to be known of a run besides its figures.
type about struct {
	began, ended           time.Time
	machine, versions      string
	processor, commit      string // as the history has them
	loadBefore, loadAfter  string
	quick                  bool
	delay                  time.Duration
	only                   string
	culvertSize, otherSize int64 // bytes of the programs
}

func describe(ctx context.Context, o options, p programs) *about {
	a := &about{began: time.Now(), quick: o.quick, delay: o.delay, only: o.only, loadBefore: load()}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // unknown is empty
	a.machine = fmt.Sprintf("%s, %d CPUs, Linux %s %s", processor(), runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.GOARCH)
	commit, err := output(ctx, "git", "describe", "--always", "--dirty")
	if err != nil {
		commit = "of unknown commit"
	}
	a.processor, a.commit = thisProcessor(), commit
	pluginVersion, err := output(ctx, p.plugin, "--version")
	if err != nil {
		pluginVersion = "of unknown version"
	}
	a.versions = fmt.Sprintf("culvert %s, session-manager-plugin %s, both built with %s", commit, pluginVersion, runtime.Version())
	if p.cli != "" {
		if version, err := output(ctx, p.cli, "--version"); err == nil {
			a.versions += ", " + strings.Fields(version)[0]
		}
	}
	a.culvertSize, a.otherSize = sizeOf(p.culvert), sizeOf(p.plugin)
	return a
}

func (a *about) finish() { a.ended, a.loadAfter = time.Now(), load() }

func sizeOf(path string) int64 {
	info, err := os.Stat(filepath.Clean(path))
	if err != nil {
		return 0
	}
	return info.Size()
}

func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// The words of the last column.
const (
	passed     = "pass"
	fallsShort = "FALLS SHORT"
	noTarget   = "—"
	unmeasured = "not measured"
)

// report writes everything as Markdown.
func report(r *results, a *about, losses []string) string {
	var b strings.Builder
	b.WriteString("# culvert beside session-manager-plugin\n\n")
	fmt.Fprintf(&b, "Written by `make bench` on %s in %s.\n", a.began.UTC().Format("2006-01-02 15:04 UTC"), a.ended.Sub(a.began).Round(time.Second))
	fmt.Fprintf(&b, "Machine: %s. Load average (1, 5, 15 minutes) before: %s, after: %s, the bench itself included.\n", a.machine, a.loadBefore, a.loadAfter)
	fmt.Fprintf(&b, "Programs: %s; culvert %.1f MB, plugin %.1f MB.\n", a.versions, float64(a.culvertSize)/1e6, float64(a.otherSize)/1e6)
	if a.quick {
		b.WriteString("A quick run: it shows that everything works, its figures mean nothing.\n")
	}
	if a.only != "" {
		fmt.Fprintf(&b, "Measured alone: %s.\n", a.only)
	}
	fmt.Fprintf(&b, `
Both are processes of their own and forward to the same server through the same emulated account, in turns. The account's
agent behaves as AWS's does: 1024 bytes a message, then a rest of 1 ms. The service adds %s each way. What counts are
the ratios: absolute figures are the machine's. Each figure is the median of its runs; MB are 1,000,000 bytes.

`, a.delay)
	b.WriteString("| | culvert | plugin | culvert / plugin | target | | sessions |\n|---|---:|---:|---:|---|---|---|\n")
	for _, w := range rows() {
		if line, known := w.line(r); known || a.only == "" {
			b.WriteString(line)
		}
	}
	b.WriteString(lossesNote(losses))
	b.WriteString(notes)
	b.WriteString(pageNote(r, a.delay))
	b.WriteString(emulated)
	b.WriteString(remarks(r))
	return b.String()
}

// line is a row of the table; false when none of its figures was taken.
func (w row) line(r *results) (string, bool) {
	from := w.rivalSeries()
	own, known := r.median(w.metric, nameCulvert)
	rival, compared := r.median(from.metric, from.subject)
	compared = compared && !w.alone
	ratio, verdict := noTarget, noTarget
	if known && compared && rival > 0 {
		ratio = fmt.Sprintf("%.2f", own/rival)
	}
	switch {
	case !known || (w.holds != nil && !compared && !w.alone && !w.absolute):
		verdict = unmeasured
	case w.holds == nil:
	case w.holds(r, own, rival):
		verdict = passed
	default:
		verdict = fallsShort
	}
	target := w.target
	if target == "" {
		target = noTarget
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |\n",
		w.title, w.cell(own, known), w.cell(rival, compared), ratio, target, verdict, w.sessions(r)), known || compared
}

func (w row) cell(figure float64, known bool) string {
	if !known {
		return noTarget
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", w.decimals, figure, w.unit))
}

const notes = `
* Uploads: 64 MB with culvert and 8 MB with the plugin, which rests 1 ms after each message of its own; downloads 20 MB,
  as the agent's rests rule them. Both ends compare SHA-256.
* CPU is user and system time of the client's process alone, over the transfers on one connection. Account, agents,
  servers and the measuring program run in other processes.
* First byte: from the start of the process to the first byte back from the server. Culvert's figure includes looking up
  the task, StartSession, the websocket and the agent's handshake. The plugin started directly is given a session that was
  opened just before: StartSession is not in its figure, and the 30 ms that the agent's worker takes to start pass while
  the plugin itself starts. The aws command does everything but looking up the task; it is called itself, not a version
  manager's shim. The delay of the service is on the websocket, not on API calls. Between StartSession and the first byte lie those
  30 ms and five ways of 10 ms, 80 ms that no client can shorten.
* A workflow's step: from the start of its bash to the first byte back through the port. The recipe calls aws ecs list-tasks
  and describe-tasks, leaves aws ssm start-session to the background and sleeps ten seconds, as nothing tells it that the
  port is open; culvert up returns when it is, and when it knows what is there: Squid says that, the server of the first row does
  not, and is taken as it is after two seconds. What comes after, terminating the session, is in neither figure.
* Sessions: how many the client had in one run, task by task, as the account counted them: culvert's / the other's. Where
  runs differ, what most of them had. The service has two tasks.
* Any host (-D): from a client's connect to the byte back, by CONNECT, eight new hosts one after the other and ten more requests to
  each; the other column is culvert's own -L to one of them. A new host is held against what that took from StartSession to the end
  of the handshake, by its events, and its first answer; a known one against a connection to a session that is open.
* Beside a download, the agent's own 200 kB of buffer stand before every answer of that session, at 0.75 MB/s. The echo is
  the first connection that is opened two seconds after the download was, over its whole life; a new connection for each
  comes after it.
* Downloads on several connections are 20 MB in all with culvert and 6 MB with the plugin, whose connections share one session.
  They begin as soon as culvert is ready, which it is with its first session: that the others open meanwhile, one after the
  other on each task, is in the figures, whether or not their number was given. So eight sessions stay below eight times one.
* 200 connections: each is opened, has one echo of 1 KiB and is closed. A session answers one in 1 to 1.5 ms, as the agent rests
  behind each message, and a further session gives its first answer about 100 ms after the crowd has come, which is three round
  trips and the start of the agent's worker: by then nearly half of the first 100 are served. Two sessions open at a time, one on each
  task, as an agent that starts two at once takes a second for each. As many again find the sessions of the first.
* Closes: the account closes the websockets of the client, as the service does every hour, after one second of the download,
  and in the last row after two and three as well. The same client has made the same download undisturbed just before. The plugin's
  figures are of the runs that it survived.
* A task killed: its agent and all its workers are gone and nobody is told. The tunnel was open and quiet, a new connection
  is made at once, and another one whenever one ends without an answer. The plugin is asked once, and given up after 20 s.
* Through a relay: the tasks of two more services have one, deploy/relay as a process of its own, which is started anew for each
  client. A figure counts when streams went through it. Downloads are 40 MB, those beside them 4 MB on one connection and 40 MB on
  eight. They begin as soon as culvert says that it is ready and the relay is on: that further sessions open meanwhile is in the
  figures. Beside an echo each byte of the download is compared with what was sent. CPU and memory of the relay are those of its
  process, the agents' work is in neither. A new host is CONNECT to a Squid that has its address, its answer, and a byte there and
  back, one round trip each; a new session is culvert -D. Names are the proxy's to resolve, so there is no row for one that is
  unknown. In faults, eight sessions carry 20 MB (50 MB where the rate afterwards counts), and what happens does so after a third;
  a silence is the time between two reads of the client. The sessions beside those rows are of the last one.
* The long transfers are 1 GB up and then 1 GB down in one process with the agent's rests left out. Growth compares the
  most of the last quarter with the most of the second. The plugin would take 23 minutes each way.
* Loss: 1 % of all data messages and of all acknowledges, both ways, each drawn by itself, once the forward is ready. 0 MB/s
  is a transfer that was called off because no byte had arrived for 15 s. The plugin stalls where one of
  its acknowledges and then a message to it are lost (protocol.md 9, P1), so in downloads; an upload of this size it
  repairs, one message a tenth of a second.
`

// emulated says what the figures are worth without AWS.
const emulated = `
What rests on the emulated account: all rows use its service and agents. The agent's pace, its buffers, its repeats and its starts
are those of the real agent 3.3, as far as it was measured; rows of echoes, starts, uploads and CPU depend on little else
than the client. Closes, lost messages and the killed task depend on how the service and the agent behave then, of which the service's
part is not known: what becomes of a message that is on its way when a socket closes, when the other side is told, and how soon a
session can be resumed. Several sessions at once depend on AWS not limiting them together. The page is shown by a real
Chromium through a real Squid.
`

// pageNote says what the page's figures can be at best.
func pageNote(r *results, delay time.Duration) string {
	first, known := r.median(firstVisit, nameStraight)
	second, again := r.median(secondVisit, nameStraight)
	if !known || !again {
		return ""
	}
	return fmt.Sprintf(`* The page: Chromium opens it through Squid, HTTP/1.1 over TLS, and once more a second later in the same browser; nothing of it may be
  kept. Straight through Squid, at the same delay but without any session, the visits take %.2f s and %.2f s. Chromium has %d
  connections to a host, so with a session for each of them and nothing but round trips and the agent's rests a first visit takes at
  least %.2f s.
`, first, second, browserConns, leastVisit(delay, agentPacing).Seconds())
}

// remarks lists what happened along the way.
func remarks(r *results) string {
	var lines []string
	for _, s := range slices.SortedFunc(maps.Keys(r.remarks), func(a, b series) int {
		return strings.Compare(a.metric+a.subject, b.metric+b.subject)
	}) {
		for _, text := range r.remarks[s] {
			lines = append(lines, fmt.Sprintf("* %s, %s: %s\n", s.metric, s.subject, strings.ReplaceAll(text, "\n", "; ")))
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "\nOn the way:\n\n" + strings.Join(lines, "")
}
