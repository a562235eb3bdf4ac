package aws

import (
	"os"
	"strings"

	"culvert/internal/say"
)

// pipeline is the job of a CI system that this process runs in, as its environment tells. The zero value is none.
type pipeline struct {
	run   string // identifies the job among all jobs of its system, and is the same in all of its processes
	about string // the job in words
}

// system is a CI system: what it sets in the environment of each job.
type system struct {
	mark, value string   // a variable that only this system sets, and its value unless that may be any
	word        string   // the beginning of run; GitHub's runs have none, as they were named before other systems were known
	run         []string // variables whose values identify a job
	about       string   // the job in words, with variables as ${NAME}
}

// systems are the CI systems that are known, with variables that their documentation names as predefined.
func systems() []system {
	return []system{
		{"GITHUB_RUN_ID", "", "", []string{"GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"},
			"GitHub run ${GITHUB_RUN_ID} attempt ${GITHUB_RUN_ATTEMPT} of ${GITHUB_REPOSITORY}, job ${GITHUB_JOB}"},
		{"GITLAB_CI", "true", "gitlab", []string{"CI_PIPELINE_ID", "CI_JOB_ID"},
			"GitLab pipeline ${CI_PIPELINE_ID} job ${CI_JOB_ID} (${CI_JOB_NAME}) of ${CI_PROJECT_PATH}"},
		{"CIRCLECI", "true", "circleci", []string{"CIRCLE_WORKFLOW_ID", "CIRCLE_BUILD_NUM"},
			"CircleCI workflow ${CIRCLE_WORKFLOW_ID} job ${CIRCLE_BUILD_NUM} (${CIRCLE_JOB}) of ${CIRCLE_PROJECT_USERNAME}/${CIRCLE_PROJECT_REPONAME}"},
		{"BUILDKITE", "true", "buildkite", []string{"BUILDKITE_JOB_ID"},
			"Buildkite build ${BUILDKITE_BUILD_NUMBER} of ${BUILDKITE_ORGANIZATION_SLUG}/${BUILDKITE_PIPELINE_SLUG}, job ${BUILDKITE_JOB_ID} (${BUILDKITE_LABEL})"},
		{"BITBUCKET_BUILD_NUMBER", "", "bitbucket", []string{"BITBUCKET_BUILD_NUMBER", "BITBUCKET_STEP_UUID"},
			"Bitbucket build ${BITBUCKET_BUILD_NUMBER} of ${BITBUCKET_REPO_FULL_NAME}, step ${BITBUCKET_STEP_UUID}"},
		{"TF_BUILD", "True", "azure", []string{"BUILD_BUILDID", "SYSTEM_JOBID", "SYSTEM_JOBATTEMPT"},
			"Azure build ${BUILD_BUILDID} (${BUILD_DEFINITIONNAME}) of ${SYSTEM_TEAMPROJECT}, job ${SYSTEM_JOBDISPLAYNAME} attempt ${SYSTEM_JOBATTEMPT}"},
		{"JENKINS_URL", "", "", []string{"BUILD_TAG"}, "Jenkins build ${BUILD_NUMBER} of ${JOB_NAME}"}, // BUILD_TAG begins with jenkins
	}
}

// runsHere reports whether this process is in a job of the system.
func (s system) runsHere() bool {
	value := os.Getenv(s.mark)
	return value != "" && (s.value == "" || strings.EqualFold(value, s.value))
}

// pipelineEnvironment is the job that this process runs in. It is none when a system does not say which job this is.
func pipelineEnvironment() pipeline {
	for _, s := range systems() {
		if !s.runsHere() || os.Getenv(s.run[0]) == "" {
			continue
		}
		var words []string
		if s.word != "" {
			words = append(words, s.word)
		}
		for _, name := range s.run {
			if value := strings.Trim(os.Getenv(name), "{}"); value != "" { // Bitbucket's UUIDs are in braces
				words = append(words, value)
			}
		}
		return pipeline{run: strings.Join(words, "-"), about: os.Expand(s.about, os.Getenv)}
	}
	return pipeline{}
}

// maxReason is how many characters StartSession keeps of a reason (SSM API Reference, StartSession).
const maxReason = 256

// reason is the reason of a session, which StartSession keeps with it. The names of jobs can be any text, so they are made
// safe.
func (p pipeline) reason() string {
	if p.run == "" {
		return "culvert"
	}
	reason := []rune(say.Line("culvert: " + p.about))
	return string(reason[:min(len(reason), maxReason)])
}
