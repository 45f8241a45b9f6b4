<?php

declare(strict_types=1);

namespace Tests\Support;

/**
 * Plays the Runtime API of AWS Lambda, for one sandbox: GET /2018-06-01/runtime/invocation/next waits for an event, POST
 * .../ID/response and .../ID/error take what became of it.
 */
final class LambdaRuntimeApi
{
    private const PREFIX = '/2018-06-01/runtime/invocation/';

    /** @var resource */
    private $listener;

    /** @var resource|null the connection on which the sandbox has asked for the next event */
    private $asking;

    private int $invocations = 0;

    public function __construct()
    {
        $this->listener = stream_socket_server('tcp://127.0.0.1:0') ?: throw new \RuntimeException('cannot listen');
    }

    /** What AWS_LAMBDA_RUNTIME_API says. */
    public function address(): string
    {
        return (string) stream_socket_get_name($this->listener, false);
    }

    /** Waits until the sandbox asks for an event. From then on Lambda may freeze it. */
    public function waitUntilIdle(): void
    {
        if ($this->asking === null) {
            [$this->asking, $line] = $this->request();
            self::expect('GET ' . self::PREFIX . 'next', $line);
        }
    }

    /**
     * Hands an event to the sandbox and takes what it returns.
     *
     * @param array<string, mixed> $event
     * @return array{string, array<string, mixed>} `response` or `error`, and the body
     */
    public function invoke(array $event): array
    {
        $this->waitUntilIdle();
        assert($this->asking !== null);
        $id = sprintf('invocation-%d', ++$this->invocations);
        $headers = ["Lambda-Runtime-Aws-Request-Id: $id", 'Lambda-Runtime-Deadline-Ms: ' . (int) ((microtime(true) + 28) * 1000)];
        self::answer($this->asking, '200 OK', json_encode($event, JSON_THROW_ON_ERROR), ...$headers);
        $this->asking = null;
        [$connection, $line, $body] = $this->request();
        if (preg_match('~^POST ' . self::PREFIX . "$id/(response|error)$~", $line, $found) !== 1) {
            throw new \RuntimeException("what became of $id was expected, not: $line");
        }
        self::answer($connection, '202 Accepted', '{"status":"OK"}');

        return [$found[1], json_decode($body, true, 64, JSON_THROW_ON_ERROR)];
    }

    public function stop(): void
    {
        if ($this->asking !== null) {
            fclose($this->asking);
            $this->asking = null;
        }
        fclose($this->listener);
    }

    /** @return array{resource, string, string} the connection, method with path, and body of the next request */
    private function request(): array
    {
        $connection = @stream_socket_accept($this->listener, 15.0) ?: throw new \RuntimeException('the sandbox asks for nothing and answers nothing');
        stream_set_timeout($connection, 5);
        $words = explode(' ', (string) fgets($connection));
        $length = 0;
        while (($header = rtrim((string) fgets($connection))) !== '') {
            if (preg_match('/^Content-Length: *(\d+)$/i', $header, $found) === 1) {
                $length = (int) $found[1];
            }
        }
        $body = $length === 0 ? '' : (string) stream_get_contents($connection, $length);

        return [$connection, "$words[0] " . ($words[1] ?? ''), $body];
    }

    /** @param resource $connection */
    private static function answer($connection, string $status, string $body, string ...$headers): void
    {
        $head = ["HTTP/1.1 $status", ...$headers, 'Content-Type: application/json', 'Content-Length: ' . strlen($body), 'Connection: close'];
        fwrite($connection, implode("\r\n", $head) . "\r\n\r\n$body");
        fclose($connection);
    }

    private static function expect(string $expected, string $line): void
    {
        if ($line !== $expected) {
            throw new \RuntimeException("$expected was expected, not: $line");
        }
    }
}
