<?php

declare(strict_types=1);

namespace Tests\Support;

/** The smallest client there can be: blocking, one connection, RESP2. It watches servers; the extension is not involved. */
final class Resp
{
    /** @var resource */
    private $stream;

    public function __construct(int $port, ?string $password = null, float $timeout = 5.0, string $host = '127.0.0.1')
    {
        $stream = @stream_socket_client("tcp://$host:$port", $code, $message, $timeout);
        if ($stream === false) {
            throw new \RuntimeException("cannot connect to $host:$port: $message");
        }
        stream_set_timeout($stream, (int) $timeout, (int) (fmod($timeout, 1.0) * 1e6));
        $this->stream = $stream;
        if ($password !== null) {
            $this->command('AUTH', $password);
        }
    }

    public function __destruct()
    {
        fclose($this->stream);
    }

    /** An error reply is an exception. */
    public function command(string|int|float ...$words): mixed
    {
        $this->send(self::encode($words));

        return $this->reply();
    }

    public function send(string $bytes): void
    {
        for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
            $count = @fwrite($this->stream, substr($bytes, $sent));
            if ($count === false || $count === 0) {
                throw new \RuntimeException('the server takes no more bytes');
            }
        }
    }

    /** @param array<string|int|float> $words */
    public static function encode(array $words): string
    {
        $bytes = '*' . count($words) . "\r\n";
        foreach ($words as $word) {
            $bytes .= '$' . strlen((string) $word) . "\r\n$word\r\n";
        }

        return $bytes;
    }

    public function reply(): mixed
    {
        $line = fgets($this->stream);
        if ($line === false || !str_ends_with($line, "\r\n")) {
            throw new \RuntimeException('the server closed the connection, or did not answer in time');
        }
        $rest = substr($line, 1, -2);

        return match ($line[0]) {
            '+' => $rest,
            ':' => (int) $rest,
            '-' => throw new \RuntimeException($rest),
            '$' => $rest === '-1' ? null : substr($this->bytes((int) $rest + 2), 0, -2),
            '*' => $rest === '-1' ? null : $this->items((int) $rest),
            default => throw new \RuntimeException("not RESP2: $line"),
        };
    }

    /** @return list<mixed> */
    private function items(int $count): array
    {
        $items = [];
        for ($i = 0; $i < $count; $i++) {
            $items[] = $this->reply();
        }

        return $items;
    }

    private function bytes(int $count): string
    {
        $bytes = '';
        while (strlen($bytes) < $count) {
            $more = fread($this->stream, $count - strlen($bytes));
            if ($more === false || $more === '') {
                throw new \RuntimeException('the server closed the connection in the middle of a reply');
            }
            $bytes .= $more;
        }

        return $bytes;
    }
}
