{{/* What every chart of the appliance shares; the release puts it among each chart's templates. */}}

{{- define "sovereign.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/part-of: sovereign
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* A pod as restricted as pods can be. Arguments: user, group. */}}
{{- define "sovereign.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .group }}
  fsGroup: {{ .group }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
tolerations:   # a host that is lost is given up after half a minute, not after five
- {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
- {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
dnsConfig:   # a host that is lost may be one of the two that answer for names, and nobody left to say so
  options: [{name: timeout, value: "1"}, {name: attempts, value: "4"}]
{{- end }}

{{- define "sovereign.container" -}}
imagePullPolicy: Never
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* A link beside the pod's own containers, up before them. Arguments: name, user, image; and where they differ from
     that or are there: certificate (whose it shows), probe (a port of its own) or ready (Python that raises until it
     listens where only the pod sees it), mounts. */}}
{{- define "sovereign.link" -}}
- name: link-{{ .name }}
  image: {{ .image }}
  restartPolicy: Always
  args: [--site, /site, serve, link-{{ .name }}]
  env: [{name: CREDENTIALS_DIRECTORY, value: /credentials}]
  {{- include "sovereign.container" . | nindent 2 }}
    runAsUser: {{ .user }}
  resources:
    requests: {cpu: 10m, memory: 48Mi}
    limits: {memory: 128Mi}
  {{- with .probe }}
  startupProbe: {tcpSocket: {port: {{ . }}}, periodSeconds: 1, failureThreshold: 180}
  {{- end }}
  {{- with .ready }}
  startupProbe:
    exec: {command: [/usr/bin/python3.11, -c, {{ toJson . }}]}
    periodSeconds: 1
    timeoutSeconds: 5
    failureThreshold: 180
  {{- end }}
  volumeMounts:
  - {name: links, mountPath: /site/links, readOnly: true}
  - {name: link-{{ .certificate | default .name }}, mountPath: /credentials, readOnly: true}
  {{- range .mounts }}
  - {{ toJson . }}
  {{- end }}
{{- end }}

{{/* The volumes of links. Arguments: chart, names. */}}
{{- define "sovereign.link-volumes" -}}
- name: links
  configMap: {name: {{ .chart }}-links}
{{- range .names }}
- name: link-{{ . }}
  secret: {secretName: link-{{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* A chart's `helm test`: a pod that runs a command and may speak to the chart's own pods. Arguments: context, command;
     and where there is something to read: mounts, volumes. */}}
{{- define "sovereign.test" -}}
{{- $name := .context.Chart.Name }}
apiVersion: v1
kind: Pod
metadata:
  name: {{ $name }}-test
  labels: {app.kubernetes.io/name: {{ $name }}-test, app.kubernetes.io/part-of: sovereign}
  annotations: {helm.sh/hook: test, helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec:
  {{- include "sovereign.pod" (dict "user" 20099 "group" 20099) | nindent 2 }}
  restartPolicy: Never
  containers:
  - name: main
    image: {{ .context.Values.linkImage }}
    command: {{ toJson (concat (list "/usr/bin/python3.11" "-m") .command) }}
    {{- include "sovereign.container" . | nindent 4 }}
    resources: {requests: {cpu: 10m, memory: 48Mi}, limits: {memory: 128Mi}}
    volumeMounts: {{ toJson (.mounts | default list) }}
  volumes: {{ toJson (.volumes | default list) }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}-test
  annotations: {helm.sh/hook: test, helm.sh/hook-weight: "-1", helm.sh/hook-delete-policy: "before-hook-creation,hook-succeeded"}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/name: {{ $name }}-test}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app.kubernetes.io/name: {{ $name }}}}}]
{{- end }}

{{/* The same of a chart's links: they answer, and turn away whoever shows no certificate. Arguments: context, ends. */}}
{{- define "sovereign.link-test" -}}
{{- include "sovereign.test" (dict "context" .context "command" (concat (list "appliance.link.check") .ends)) }}
{{- end }}
