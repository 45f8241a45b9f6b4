<?php

declare(strict_types=1);

namespace Tests\Support;

/** An authority with certificates as openssl makes them, in a folder that goes with the process. */
final class Certificates
{
    private readonly string $folder;

    private int $number = 0;

    public function __construct(string $name = 'Test authority')
    {
        $this->folder = Scratch::folder('certificates');
        self::openssl('req', '-x509', ...self::newKey($this->path('ca.key')), ...['-out', $this->authority(), '-days', '2', '-subj', "/CN=$name"]);
    }

    /** The authority's own certificate, for `cafile`. */
    public function authority(): string
    {
        return $this->path('ca.crt');
    }

    public function path(string $name): string
    {
        return "$this->folder/$name";
    }

    /**
     * A certificate of the authority.
     *
     * @param string $names as in `DNS:localhost,IP:127.0.0.1`
     * @return array{string, string} the files of the certificate and of its key
     */
    public function issue(string $names): array
    {
        $base = $this->path('c' . ++$this->number);
        self::openssl('req', '-new', ...self::newKey("$base.key"), ...['-out', "$base.csr", '-subj', '/CN=a server']);
        file_put_contents("$base.ext", "subjectAltName=$names\n");
        $authority = ['-CA', $this->authority(), '-CAkey', $this->path('ca.key'), '-CAcreateserial'];
        self::openssl('x509', '-req', '-in', "$base.csr", ...$authority, ...['-days', '2', '-extfile', "$base.ext", '-out', "$base.crt"]);

        return ["$base.crt", "$base.key"];
    }

    /** @return array{string, string} the files of a certificate that was valid in the year 2021, and of its key */
    public function expired(string $names): array
    {
        $key = $this->issue($names)[1];
        $base = substr($key, 0, -4);
        touch("$base.db");
        $policy = "commonName=supplied\n[extensions]\nsubjectAltName=$names\n";
        file_put_contents("$base.cnf", "[ca]\ndefault_ca=own\n[own]\ndatabase=$base.db\nnew_certs_dir=$this->folder\nrand_serial=yes\npolicy=policy\n[policy]\n$policy");
        $authority = ['-cert', $this->authority(), '-keyfile', $this->path('ca.key'), '-config', "$base.cnf"];
        $dates = ['-startdate', '20210101000000Z', '-enddate', '20211231235900Z', '-md', 'sha256', '-extensions', 'extensions'];
        self::openssl('ca', '-batch', '-notext', ...$authority, ...$dates, ...['-in', "$base.csr", '-out', "$base.crt"]);

        return ["$base.crt", $key];
    }

    /** @return array{string, string} the files of a certificate that has signed itself, as `openssl req -x509` makes it, and of its key */
    public function selfSigned(string $names): array
    {
        $base = $this->path('c' . ++$this->number);
        self::openssl('req', '-x509', ...self::newKey("$base.key"), ...['-out', "$base.crt", '-days', '2', '-subj', '/CN=itself', '-addext', "subjectAltName=$names"]);

        return ["$base.crt", "$base.key"];
    }

    /** The key again, encrypted as OpenSSL does today. */
    public function encrypted(string $key, string $passphrase): string
    {
        self::openssl('pkcs8', '-topk8', '-in', $key, '-out', "$key.enc", '-passout', "pass:$passphrase");

        return "$key.enc";
    }

    /** The key again, encrypted as OpenSSL did before. */
    public function encryptedInTheOldWay(string $key, string $passphrase): string
    {
        self::openssl('ec', '-in', $key, '-out', "$key.old", '-aes128', '-passout', "pass:$passphrase");

        return "$key.old";
    }

    /**
     * Directives for a server that speaks TLS on a port of its own, beside the plain one.
     *
     * @param array{string, string} $identity
     * @return array<string, string>
     */
    public function server(array $identity, bool $wantsClients = false): array
    {
        return [
            'tls-port' => (string) Ports::free(), 'tls-cert-file' => $identity[0], 'tls-key-file' => $identity[1],
            'tls-ca-cert-file' => $this->authority(), 'tls-auth-clients' => $wantsClients ? 'yes' : 'no',
        ];
    }

    /** @return list<string> */
    private static function newKey(string $file): array
    {
        return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', $file];
    }

    private static function openssl(string ...$arguments): void
    {
        exec('openssl ' . implode(' ', array_map(escapeshellarg(...), $arguments)) . ' 2>&1', $lines, $status);
        if ($status !== 0) {
            throw new \RuntimeException("openssl $arguments[0]:\n" . implode("\n", $lines));
        }
    }
}
