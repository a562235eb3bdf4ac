package aws

import (
	"context"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
)

// ownerKey tells whose a task is that was started on demand: a policy knows the tag by this key.
const ownerKey = "aws:ResourceTag/" + tagOwner

// onDemand lets a caller run tasks of one family, signed with its own name, and stop those and no others (Service
// Authorization Reference of ECS; ECS Developer Guide, "Grant permission to tag resources on creation").
func (r Reach) onDemand() []Statement {
	tasks := []string{r.arn("ecs", "task/"+r.Cluster+"/*")}
	statements := []Statement{
		{
			Sid: "Run", Effect: "Allow", Action: []string{runAction}, Resource: []string{r.arn("ecs", "task-definition/"+r.Run+":*")},
			Condition: map[string]map[string]any{
				"ArnEquals":    {"ecs:cluster": r.arn("ecs", "cluster/"+r.Cluster)},
				"StringEquals": {"aws:RequestTag/" + tagOwner: "${aws:userid}"},
			},
		},
		{
			Sid: "SignRun", Effect: "Allow", Action: []string{"ecs:TagResource"}, Resource: tasks,
			Condition: map[string]map[string]any{"StringEquals": {"ecs:CreateAction": "RunTask"}}, // not later: a tag says whose a task is
		},
		{
			Sid: "PassRoles", Effect: "Allow", Action: []string{"iam:PassRole"}, Resource: r.roles(),
			Condition: map[string]map[string]any{"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}, //nolint:gosec // a service, no secret
		},
		{
			Sid: "StopOwn", Effect: "Allow", Action: []string{"ecs:StopTask"}, Resource: tasks,
			Condition: map[string]map[string]any{"StringLike": {ownerKey: r.owners()}},
		},
	}
	if r.Share {
		statements = append(statements, Statement{
			Sid: "NoteUse", Effect: "Allow", Action: []string{"ecs:TagResource", "ecs:UntagResource"}, Resource: tasks,
			Condition: map[string]map[string]any{
				"StringLike":              {ownerKey: r.owners()},
				"ForAllValues:StringLike": {"aws:TagKeys": []string{tagUser + "*", tagClosing}},
			},
		})
	}
	if len(r.roles()) == 0 {
		statements = slices.DeleteFunc(statements, func(s Statement) bool { return s.Sid == "PassRoles" })
	}
	if !r.Browse {
		statements = append(statements, Statement{Sid: "Define", Effect: "Allow", Action: []string{describeDefinitionAction}, Resource: []string{"*"}}) // it knows no other
	}
	return statements
}

// scaling lets a caller scale one service, and note on it who uses it, in tags of culvert's own.
func (r Reach) scaling() []Statement {
	service := []string{r.arn("ecs", "service/"+r.Cluster+"/"+r.Start)}
	return []Statement{
		{Sid: "Scale", Effect: "Allow", Action: []string{updateServiceAction}, Resource: service},
		{
			Sid: "NoteService", Effect: "Allow", Action: []string{"ecs:TagResource", "ecs:UntagResource"}, Resource: service,
			Condition: map[string]map[string]any{"ForAllValues:StringLike": {"aws:TagKeys": []string{tagRaised, tagUser + "*"}}},
		},
	}
}

// owners are the names that a caller's tasks are signed with: its own and, of a role, those of its other sessions under
// culvert's names, such as a job that was killed.
func (r Reach) owners() []string {
	owners := []string{"${aws:userid}"}
	if r.RoleID != "" {
		owners = append(owners, r.RoleID+":"+roleSessionPrefix+"*")
	}
	return owners
}

// roles are those that ECS passes on to the tasks.
func (r Reach) roles() []string {
	roles := slices.DeleteFunc(r.RunRoles[:], func(arn string) bool { return arn == "" })
	slices.Sort(roles)
	return slices.Compact(roles)
}

// RolesOf are the ARNs of the roles that ECS passes on to a task of a definition.
func (c *Client) RolesOf(ctx context.Context, definition string) (roles [2]string, err error) {
	d, err := c.definitionOf(ctx, definition)
	if err != nil {
		return roles, err
	}
	return [2]string{sdk.ToString(d.TaskRoleArn), sdk.ToString(d.ExecutionRoleArn)}, nil
}
