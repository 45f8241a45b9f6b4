<?php

declare(strict_types=1);

namespace Tests\Support;

/** One request to a FastCGI application over a unix socket. */
final class FastCgi
{
    private const BEGIN = 1;
    private const END = 3;
    private const PARAMETERS = 4;
    private const INPUT = 5;
    private const OUTPUT = 6;
    private const ERRORS = 7;

    /** @var resource */
    private $stream;

    private string $output = '';

    private string $errors = '';

    /** Sends the request; the answer is awaited by response(). So several can be under way at once. */
    public function __construct(string $socket, string $script, string $query = '', float $timeout = 30.0)
    {
        $stream = @stream_socket_client("unix://$socket", $code, $message, 5.0);
        if ($stream === false) {
            throw new \RuntimeException("cannot connect to $socket: $message");
        }
        stream_set_timeout($stream, (int) $timeout);
        $this->stream = $stream;

        $parameters = '';
        $environment = [
            'GATEWAY_INTERFACE' => 'CGI/1.1', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET',
            'SCRIPT_FILENAME' => $script, 'SCRIPT_NAME' => '/' . basename($script),
            'REQUEST_URI' => '/' . basename($script) . "?$query", 'QUERY_STRING' => $query,
            'SERVER_NAME' => 'localhost', 'SERVER_PORT' => '80', 'REMOTE_ADDR' => '127.0.0.1',
        ];
        foreach ($environment as $name => $value) {
            $parameters .= self::length($name) . self::length($value) . $name . $value;
        }
        fwrite($stream, self::record(self::BEGIN, pack('nCx5', 1, 0))
            . self::record(self::PARAMETERS, $parameters) . self::record(self::PARAMETERS, '')
            . self::record(self::INPUT, ''));
    }

    public function response(): FpmResponse
    {
        while (($header = $this->bytes(8)) !== '') {
            ['type' => $type, 'length' => $length, 'padding' => $padding] = unpack('Cversion/Ctype/nid/nlength/Cpadding', $header);
            $content = $this->bytes($length);
            $this->bytes($padding);
            if ($type === self::OUTPUT) {
                $this->output .= $content;
            } elseif ($type === self::ERRORS) {
                $this->errors .= $content;
            } elseif ($type === self::END) {
                fclose($this->stream);

                return new FpmResponse($this->output, $this->errors);
            }
        }

        throw new \RuntimeException("the worker went away without an answer; until then it said: $this->output $this->errors");
    }

    /** Goes away without waiting for the answer, as a browser does. */
    public function abandon(): void
    {
        fclose($this->stream);
    }

    private function bytes(int $count): string
    {
        $bytes = '';
        while (strlen($bytes) < $count) {
            $more = fread($this->stream, $count - strlen($bytes));
            if ($more === false || $more === '') {
                if ($bytes === '' && feof($this->stream)) {
                    return '';
                }
                throw new \RuntimeException("the FastCGI answer stops in the middle; until then it said: $this->output $this->errors");
            }
            $bytes .= $more;
        }

        return $bytes;
    }

    private static function record(int $type, string $content): string
    {
        return pack('CCnnCx', 1, $type, 1, strlen($content), 0) . $content;
    }

    private static function length(string $text): string
    {
        return strlen($text) < 128 ? chr(strlen($text)) : pack('N', strlen($text) | 0x80000000);
    }
}
