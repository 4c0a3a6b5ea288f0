variable "region" {
  description = "Region of the recovery site"
  type        = string
}

variable "name" {
  description = "Name of the stack"
  type        = string
  default     = "lifeboat"
}

variable "artifact_bucket" {
  description = "Bucket of that Region, which is there, for the template and what the proxies are installed from"
  type        = string
}

variable "package" {
  description = "lifeboat-VERSION.tgz, as npm pack made it"
  type        = string
}

variable "node" {
  description = "node-vVERSION-linux-x64.tar.xz of nodejs.org, 22.15 or later"
  type        = string
}

variable "vpc_id" {
  description = "VPC of the recovery site"
  type        = string
}

variable "proxy_subnets" {
  description = "Private subnets of the AWS proxies"
  type        = list(string)
}

variable "production_subnets" {
  description = "All subnets that plans name for production"
  type        = list(string)
}

variable "test_subnets" {
  description = "All subnets that plans name for the test"
  type        = list(string)
}

variable "route_tables" {
  description = "Route tables for a gateway endpoint of S3; none where they have one"
  type        = list(string)
  default     = []
}

variable "plans" {
  description = "Names of the DR plans"
  type        = list(string)
}

variable "hosted_zones" {
  description = "Ids of the hosted zones that plans change"
  type        = list(string)
  default     = []
}

variable "record_names" {
  description = "Names of the records that plans move"
  type        = list(string)
  default     = []
}

variable "snapshot_key_arn" {
  description = "KMS key of the DR copies; empty for none"
  type        = string
  default     = ""
}

variable "repository_key_arn" {
  description = "KMS key of the bucket; empty for the keys of S3"
  type        = string
  default     = ""
}

variable "proxy_count" {
  description = "AWS proxies"
  type        = number
  default     = 2
}

variable "temporal_address" {
  description = "Host and port of the frontend of Temporal"
  type        = string
}

variable "temporal_namespace" {
  description = "Namespace of Lifeboat"
  type        = string
  default     = "lifeboat"
}

variable "temporal_secret_arn" {
  description = "Secret with the configuration of the client of Temporal; empty for none"
  type        = string
  default     = ""
}

variable "trust_anchor_arn" {
  description = "Trust anchor of IAM Roles Anywhere for what is outside of AWS; empty for none"
  type        = string
  default     = ""
}

variable "notice_email" {
  description = "Who is told of alarms; empty for nobody"
  type        = string
  default     = ""
}
