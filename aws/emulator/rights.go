package emulator

import "strings"

// mayRun checks what RunTask needs besides ecs:RunTask: whether the caller may tag the task, and pass the roles to it (Amazon
// ECS Developer Guide, "Grant permission to tag resources on creation"; Service Authorization Reference).
func (e *Emulator) mayRun(r *request) error {
	in, err := decode[runInput](r)
	if err != nil {
		return err
	}
	a := e.fleet
	a.mu.Lock()
	d := a.findDefinition(in.TaskDefinition)
	a.mu.Unlock()
	if d == nil {
		return nil // RunTask itself reports that there is no definition
	}
	roles := []string{or(in.overrides().ExecutionRoleArn, executionRole(a))}
	if role := or(in.overrides().TaskRoleArn, a.taskRole(d)); role != "" && !d.pattern.NoRole {
		roles = append(roles, role)
	}
	for _, role := range roles {
		if err := e.data.admit(r, "iam", "PassRole", role); err != nil {
			return err
		}
	}
	if len(in.Tags) == 0 {
		return nil
	}
	return e.data.admit(r, "ecs", "TagResource", a.arn("ecs", "task/"+nameOf(in.Cluster)+"/*"))
}

func executionRole(a *account) string { return "arn:aws:iam::" + a.id + ":role/ecsTaskExecutionRole" }

// resolved is the ARN of the revision that a name stands for.
func (a *account) resolved(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.findDefinition(name); d != nil {
		return d.arn(a)
	}
	return a.arn("ecs", "task-definition/"+nameOf(name))
}

// tagFacts adds the values of the condition keys about tags, of the request and of the resource, and about roles that are
// passed.
func (e *Emulator) tagFacts(r *request, action, resource string, facts map[string]string) {
	in, err := decode[struct {
		Tags    []tag
		TagKeys []string
	}](r)
	if err != nil {
		return
	}
	switch action {
	case "iam:PassRole":
		facts["iam:PassedToService"] = "ecs-tasks.amazonaws.com"
	case "ecs:TagResource", "ecs:UntagResource", "ecs:RunTask":
		keys := in.TagKeys
		for _, t := range in.Tags {
			keys = append(keys, t.Key)
			facts["aws:RequestTag/"+t.Key] = t.Value
		}
		facts["aws:TagKeys"] = strings.Join(keys, manyFacts)
		if action == "ecs:TagResource" && strings.HasSuffix(r.HTTP.Header.Get("X-Amz-Target"), ".RunTask") {
			facts["ecs:CreateAction"] = "RunTask"
			return
		}
	}
	a := e.fleet
	a.mu.Lock()
	defer a.mu.Unlock()
	if tags, err := a.tagged(resource); err == nil {
		for key, value := range *tags {
			facts["aws:ResourceTag/"+key] = value
		}
	}
}
