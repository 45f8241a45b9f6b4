<?php

declare(strict_types=1);

namespace Benches;

/** Where a worker finds the server; it travels on the worker's command line. */
final class Place
{
    private function __construct(
        public readonly string $scheme,
        public readonly string $host,
        public readonly int $port = 0,
        public readonly string $authority = '',
    ) {
    }

    public static function tcp(int $port): self
    {
        return new self('tcp', '127.0.0.1', $port);
    }

    public static function unix(string $path): self
    {
        return new self('unix', $path);
    }

    /** @param string $authority the file with the certificate of whoever signed the server's, which is for `localhost` */
    public static function tls(int $port, string $authority): self
    {
        return new self('tls', 'localhost', $port, $authority);
    }

    public static function parse(string $text): self
    {
        [$scheme, $host, $port, $authority] = explode(' ', $text);

        return new self($scheme, $host, (int) $port, $authority);
    }

    public function __toString(): string
    {
        return "$this->scheme $this->host $this->port $this->authority";
    }

    /** @return array<string, mixed> connection parameters as ResilientRedis and Predis take them */
    public function parameters(): array
    {
        return match ($this->scheme) {
            'unix' => ['scheme' => 'unix', 'path' => $this->host],
            'tls' => ['scheme' => 'tls', 'host' => $this->host, 'port' => $this->port, 'ssl' => ['cafile' => $this->authority]],
            default => ['scheme' => 'tcp', 'host' => $this->host, 'port' => $this->port],
        };
    }

    /** @return list<mixed> what phpredis' connect() takes */
    public function ofPhpRedis(): array
    {
        return match ($this->scheme) {
            'unix' => [$this->host],
            'tls' => ["tls://$this->host", $this->port, 5.0, null, 0, 0.0, ['stream' => ['cafile' => $this->authority]]],
            default => [$this->host, $this->port, 5.0],
        };
    }
}
