{{- define "ballista.name" -}}
{{- if contains "ballista" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-ballista" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "ballista.labels" -}}
app.kubernetes.io/name: ballista
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ballista.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "ballista.name" .) }}
{{- end }}

{{- define "ballista.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The headless service's name has the addresses of all schedulers, and each pod a name below it. */}}
{{- define "ballista.schedulers" -}}
{{ include "ballista.name" . }}-scheduler
{{- end }}

{{/*
What executors connect to: the one name, whose addresses they follow as schedulers come and go. With TLS a name is what a
certificate is for, and stands for one scheduler: a list of all.
*/}}
{{- define "ballista.schedulerAddresses" -}}
{{- $domain := printf "%s.%s.svc" (include "ballista.schedulers" .) .Release.Namespace }}
{{- if .Values.tls.existingSecret }}
{{- $addresses := list }}
{{- range $number := until (int .Values.scheduler.replicas) }}
{{- $addresses = append $addresses (printf "%s-scheduler-%d.%s:%d" (include "ballista.name" $) $number $domain (int $.Values.scheduler.port)) }}
{{- end }}
{{- join "," $addresses }}
{{- else }}
{{- $domain }}
{{- end }}
{{- end }}

{{/* A limit on memory as MiB: a call with a quantity in Gi or Mi. */}}
{{- define "ballista.mebibytes" -}}
{{- $quantity := . | toString }}
{{- if hasSuffix "Gi" $quantity }}{{ mul (trimSuffix "Gi" $quantity | int64) 1024 }}
{{- else if hasSuffix "Mi" $quantity }}{{ trimSuffix "Mi" $quantity | int64 }}
{{- else }}{{ fail (printf "resources.limits.memory must be a whole number of Gi or Mi, not '%s'" $quantity) }}{{ end }}
{{- end }}

{{- define "ballista.memoryLimit" -}}
{{- $limits := .resources.limits | default dict }}
{{- if not $limits.memory }}{{ fail "set resources.limits.memory: --memory-limit is computed from it" }}{{ end }}
{{- div (mul (include "ballista.mebibytes" $limits.memory | int64) (.memoryLimitPercent | int64)) 100 }}MiB
{{- end }}

{{/* Options that schedulers and executors share. */}}
{{- define "ballista.securityArgs" -}}
{{- with .Values.dataDirs }}
- --data-dirs={{ join "," . }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- --tls-cert=/etc/ballista/tls/tls.crt
- --tls-key=/etc/ballista/tls/tls.key
- --tls-ca=/etc/ballista/tls/ca.crt
{{- if .Values.tls.mutual }}
- --tls-client-ca=/etc/ballista/tls/ca.crt
{{- end }}
{{- end }}
{{- if .Values.clusterToken.existingSecret }}
- --cluster-token-file=/etc/ballista/cluster/token
{{- end }}
{{- end }}

{{- define "ballista.mounts" -}}
{{- if .Values.data.existingClaim }}
- name: data
  mountPath: {{ .Values.data.mountPath }}
  readOnly: {{ .Values.data.readOnly }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/ballista/tls, readOnly: true}
{{- end }}
{{- if .Values.clusterToken.existingSecret }}
- {name: cluster-token, mountPath: /etc/ballista/cluster, readOnly: true}
{{- end }}
{{- end }}

{{- define "ballista.volumes" -}}
{{- if .Values.data.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ .Values.data.existingClaim }}
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.clusterToken.existingSecret }}
- name: cluster-token
  secret:
    secretName: {{ .Values.clusterToken.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "ballista.objectStore" -}}
{{- with .Values.objectStore.existingSecret }}
envFrom:
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}

{{/* Arguments: http (port), tls (bool). What each probe means stands in docs/deploy/kubernetes.md. */}}
{{- define "ballista.probes" -}}
{{- $live := dict "exec" (dict "command" (list "/usr/lib/ballista/bin/healthcheck")) }}
{{- $ready := $live }}
{{- if .http }}
{{- $scheme := ternary "HTTPS" "HTTP" .tls }}
{{- $live = dict "httpGet" (dict "path" "/health/live" "port" "http" "scheme" $scheme) }}
{{- $ready = dict "httpGet" (dict "path" "/health/ready" "port" "http" "scheme" $scheme) }}
{{- end }}
{{- /* With mutual TLS the kubelet has no certificate to show. */}}
{{- if and .http .mutual }}
{{- $live = dict "exec" (dict "command" (list "/usr/lib/ballista/bin/healthcheck")) }}
{{- $ready = $live }}
{{- end }}
startupProbe:
  {{- toYaml $live | nindent 2 }}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  {{- toYaml $live | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  {{- toYaml $ready | nindent 2 }}
  periodSeconds: 3
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}
