# The Vault server of docker-compose.yml. It unseals itself with a static key, so that it can restart unattended.
storage "raft" {
  path    = "/openbao/file"
  node_id = "openbao"
}

listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true # the port is reachable only inside the network of the compose file
}

seal "static" {
  current_key_id = "1"
  current_key    = "file:///run/secrets/openbao_seal_key"
}

# Logs every request as one line of JSON, with secrets as HMACs.
audit "file" "all" {
  description = "every request"
  options {
    file_path = "/openbao/logs/audit.log"
  }
}

api_addr     = "http://openbao:8200"
cluster_addr = "http://openbao:8201"
ui           = false
