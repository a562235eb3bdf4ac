package emulator

// runTask starts tasks that no service looks after, as a person, a schedule or AWS Batch does.
func (e *Emulator) runTask(r *request, a *account) (any, error) {
	in, err := decode[struct {
		Cluster, TaskDefinition, StartedBy string
		Count                              *int
		EnableExecuteCommand               bool
	}](r)
	if err != nil {
		return nil, err
	}
	c, err := a.mustFind(in.Cluster)
	if err != nil {
		return nil, err
	}
	d := a.findDefinition(in.TaskDefinition)
	if d == nil {
		return nil, &apiError{Code: "ClientException", Message: "TaskDefinition not found."}
	}
	count := 1
	if in.Count != nil {
		count = *in.Count
	}
	if count < 1 || count > 10 {
		return nil, invalidParameter("Count must be between 1 and 10.")
	}
	pattern := d.pattern
	pattern.Family, pattern.Revision = d.family, d.revision
	pattern.ExecOff, pattern.StartedBy = !in.EnableExecuteCommand, in.StartedBy
	out := struct {
		Tasks    []taskView `json:"tasks"`
		Failures []failure  `json:"failures"`
	}{[]taskView{}, []failure{}}
	for range count {
		t, err := a.begin(c, nil, nil, pattern)
		if err != nil {
			return nil, invalidParameter("%s", err)
		}
		out.Tasks = append(out.Tasks, t.view(a))
	}
	return out, nil
}
