<?php

declare(strict_types=1);

namespace Tests\Support;

/** What a request was answered. */
final class FpmResponse
{
    public readonly int $status;

    public readonly string $body;

    public function __construct(string $output, public readonly string $errors)
    {
        [$headers, $this->body] = explode("\r\n\r\n", $output, 2) + ['', ''];
        $this->status = preg_match('/^Status: (\d+)/mi', $headers, $found) === 1 ? (int) $found[1] : 200;
    }

    /** @return array<string, mixed> */
    public function json(): array
    {
        $value = json_decode($this->body, true);
        if ($this->status !== 200 || !is_array($value)) {
            throw new \RuntimeException("not the JSON that was expected (status $this->status): $this->body $this->errors");
        }

        return $value;
    }
}
