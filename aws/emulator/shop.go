package emulator

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// maxExport is how many bytes /export sends at most.
const maxExport = 1 << 30

type order struct {
	ID       int     `json:"id"`
	Customer string  `json:"customer"`
	Item     string  `json:"item"`
	Total    float64 `json:"total"`
	Status   string  `json:"status"`
}

// shop is what http://orders.internal/ serves: a page and a JSON API for the same orders, which the database has in a table.
type shop struct {
	mu     sync.Mutex
	orders []order
}

func newShop() *shop {
	return &shop{orders: []order{
		{1041, "Ines Falk", "culvert pipe, 600 mm", 412.50, "shipped"},
		{1042, "Tom Akers", "headwall, precast", 1290, "packed"},
		{1043, "Mei Tanaka", "trash rack", 238.9, "paid"},
		{1044, "Jonas Berg", "flap valve", 655, "paid"},
		{1045, "Ada Quist", "gabion basket, 2 m", 96.4, "cancelled"},
	}}
}

func (s *shop) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", s.page)
	m.HandleFunc("GET /orders", s.list)
	m.HandleFunc("GET /orders/{id}", s.one)
	m.HandleFunc("POST /orders", s.add)
	m.HandleFunc("GET /export", export)
	m.HandleFunc("POST /import", imported)
	m.HandleFunc("GET /health", healthy)
	return m
}

func (s *shop) all() []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.orders)
}

func (s *shop) page(w http.ResponseWriter, _ *http.Request) {
	page := template.Must(template.New("orders").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Orders</title>
<h1>Orders</h1><p>You see this page because you are in the private network.</p>
<table><tr><th>Order<th>Customer<th>Item<th>Total<th>Status</tr>
{{range .}}<tr><td>{{.ID}}<td>{{.Customer}}<td>{{.Item}}<td>{{printf "%.2f" .Total}}<td>{{.Status}}</tr>
{{end}}</table></html>
`))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, s.all()) // fails only when the client has gone
}

func (s *shop) list(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.all()) }

func (s *shop) one(w http.ResponseWriter, r *http.Request) {
	for _, o := range s.all() {
		if strconv.Itoa(o.ID) == r.PathValue("id") {
			reply(w, http.StatusOK, o)
			return
		}
	}
	reply(w, http.StatusNotFound, map[string]string{"error": "no such order"})
}

func (s *shop) add(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	s.mu.Lock()
	o.ID, o.Status = s.orders[len(s.orders)-1].ID+1, "new"
	if len(s.orders) < 1000 {
		s.orders = append(s.orders, o)
	}
	s.mu.Unlock()
	reply(w, http.StatusCreated, o)
}

// export sends ?bytes=N (1 MiB when there is none) of CSV, as something that takes a while.
func export(w http.ResponseWriter, r *http.Request) {
	length := 1 << 20
	if text := r.URL.Query().Get("bytes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxExport {
			reply(w, http.StatusBadRequest, map[string]string{"error": fmt.Sprintf("bytes must be 0 to %d", maxExport)})
			return
		}
		length = n
	}
	w.Header().Set("Content-Type", "text/csv")
	w.Header().Set("Content-Length", strconv.Itoa(length))
	for i := 0; length > 0; i++ {
		line := fmt.Appendf(nil, "%d,2026-11-%02d,order line %d of the export\n", 100000+i, 1+i%30, i)
		line = line[:min(len(line), length)]
		if _, err := w.Write(line); err != nil {
			return // the client has gone
		}
		length -= len(line)
	}
}

// imported reads a body and answers with its length and its SHA-256.
func imported(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		return // the client has gone
	}
	reply(w, http.StatusOK, map[string]any{"bytes": n, "sha256": hex.EncodeToString(sum.Sum(nil))})
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // fails only when the client has gone
}

// newBilling is what https://billing.internal/ serves.
func newBilling() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"service": "billing", "invoices": "/invoices"})
	})
	m.HandleFunc("GET /invoices", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, []map[string]any{{"invoice": "B-2207", "order": 1041, "paid": true}, {"invoice": "B-2208", "order": 1042, "paid": false}})
	})
	m.HandleFunc("GET /health", healthy)
	return m
}

// newWeb is what the demo's other services serve.
func newWeb() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /", healthy)
	return m
}

// newTaskRole answers like the endpoint that gives a task the credentials of its role. Its credentials are not valid anywhere.
func newTaskRole() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /v2/credentials/{id}", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]any{"RoleArn": "arn:aws:iam::111122223333:role/task", "AccessKeyId": "ASIASTANDIN", "SecretAccessKey": "stand-in", "Token": "stand-in"})
	})
	return m
}
