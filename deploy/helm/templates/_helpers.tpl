{{/* The name of all resources. */}}
{{- define "exporter.name" -}}
{{ .Values.nameOverride | default .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "exporter.selector" -}}
app.kubernetes.io/name: devin-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "exporter.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "exporter.name" .) }}
{{- end }}

{{- define "exporter.image" -}}
{{- $repository := required "image.repository is missing: where your image is, such as ghcr.io/OWNER/devin-exporter" .Values.image.repository -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* The Secret with the keys: one that exists, or that of the External Secrets operator. */}}
{{- define "exporter.secretName" -}}
{{- if .Values.externalSecret.enabled -}}
{{ .Values.secret.name | default (include "exporter.name" .) }}
{{- else -}}
{{ required "secret.name is missing: a Secret with the key, or set externalSecret.enabled" .Values.secret.name }}
{{- end -}}
{{- end }}

{{- define "exporter.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
fsGroup: 65534
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "exporter.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A value as people write it: numbers of YAML are floats, and large ones would read 1e+06. */}}
{{- define "exporter.word" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* Settings as variables. Keys come from files; a pair shares the rate limit. */}}
{{- define "exporter.environment" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- if gt (int .Values.replicas) 1 -}}
{{- $rate := get $settings "DEVIN_REQUESTS_PER_SECOND" | default 10 | toString | float64 -}}
{{- $_ := set $settings "DEVIN_REQUESTS_PER_SECOND" (divf $rate .Values.replicas) -}}
{{- end -}}
{{- range $name, $key := .Values.secret.keys }}
- name: {{ $name }}_FILE
  value: /run/secrets/devin-exporter/{{ $name }}
{{- end }}
{{- range $name, $value := $settings }}
- name: {{ $name }}
  value: {{ include "exporter.word" $value | quote }}
{{- end }}
{{- end }}

{{/* What only the running exporter has, and a backfill must not share. */}}
{{- define "exporter.servingEnvironment" -}}
{{- if .Values.webConfig.secretName }}
- name: WEB_CONFIG_FILE
  value: /run/secrets/web-config/{{ .Values.webConfig.key }}
{{- end }}
- name: STATE_DIR
  value: {{ ternary "/var/lib/devin-exporter" "" .Values.state.enabled | quote }}
{{- end }}

{{- define "exporter.keysVolume" -}}
- name: keys
  secret:
    secretName: {{ include "exporter.secretName" . }}
    defaultMode: 0440
    items:
      {{- range $name, $key := .Values.secret.keys }}
      - key: {{ $key | quote }}
        path: {{ $name }}
      {{- end }}
{{- end }}

{{- define "exporter.scheduling" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "exporter.pod" -}}
metadata:
  labels:
    {{- include "exporter.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "exporter.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 30
  securityContext:
    {{- include "exporter.podSecurity" . | nindent 4 }}
  {{- with include "exporter.scheduling" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if gt (int .Values.replicas) 1 }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "exporter.selector" . | nindent 16 }}
  {{- end }}
  containers:
    - name: devin-exporter
      image: {{ include "exporter.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        {{- include "exporter.containerSecurity" . | nindent 8 }}
      env:
        {{- include "exporter.environment" . | trim | nindent 8 }}
        {{- with include "exporter.servingEnvironment" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
      ports:
        - name: metrics
          containerPort: 9877
      {{- if .Values.webConfig.secretName }}
      # A user's password or a certificate may be asked for, which a probe by HTTP does not have.
      startupProbe: &probe
        exec:
          command: [python, /opt/healthcheck.py]
        timeoutSeconds: 5
        periodSeconds: 10
        failureThreshold: 6
      livenessProbe: *probe
      readinessProbe: *probe
      {{- else }}
      startupProbe:
        httpGet:
          path: /-/healthy
          port: metrics
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet:
          path: /-/healthy
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /-/ready
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 5
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: keys
          mountPath: /run/secrets/devin-exporter
          readOnly: true
        {{- if .Values.webConfig.secretName }}
        - name: web-config
          mountPath: /run/secrets/web-config
          readOnly: true
        {{- end }}
        {{- if .Values.state.enabled }}
        - name: state
          mountPath: /var/lib/devin-exporter
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "exporter.keysVolume" . | nindent 4 }}
    {{- with .Values.webConfig.secretName }}
    - name: web-config
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* One `job` and `instance`, whatever the pod is called. In a pair, `pod` tells the two apart. */}}
{{- define "exporter.relabelings" -}}
- targetLabel: job
  replacement: {{ .Values.monitor.job }}
- targetLabel: instance
  replacement: {{ .Values.monitor.instance }}
- action: labeldrop
  regex: {{ ternary "namespace|service|container|endpoint|pod" "namespace|service|container|endpoint" (eq (int .Values.replicas) 1) }}
{{- end }}
