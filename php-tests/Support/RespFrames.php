<?php

declare(strict_types=1);

namespace Tests\Support;

/** Cuts a stream of RESP into whole requests or replies, without looking at what they mean. */
final class RespFrames
{
    private string $buffer = '';

    public function add(string $bytes): void
    {
        $this->buffer .= $bytes;
    }

    /** The next whole frame, or null if there is none yet. */
    public function next(): ?string
    {
        $end = $this->endOf(0);
        if ($end === null) {
            return null;
        }
        $frame = substr($this->buffer, 0, $end);
        $this->buffer = substr($this->buffer, $end);

        return $frame;
    }

    /** @return list<string> the words of a request */
    public static function words(string $request): array
    {
        $words = [];
        $at = strpos($request, "\r\n");
        while ($at !== false && ($line = strpos($request, "\r\n", $at + 2)) !== false) {
            $length = (int) substr($request, $at + 3, $line - $at - 3);
            $words[] = substr($request, $line + 2, $length);
            $at = $line + 2 + $length;
        }

        return $words;
    }

    private function endOf(int $start): ?int
    {
        $line = strpos($this->buffer, "\r\n", $start);
        if ($line === false) {
            return null;
        }
        $count = (int) substr($this->buffer, $start + 1, $line - $start - 1);
        $end = $line + 2;
        switch ($this->buffer[$start]) {
            case '$':
            case '=':
            case '!':
                return $count < 0 ? $end : (strlen($this->buffer) >= $end + $count + 2 ? $end + $count + 2 : null);
            case '%':
                $count *= 2;
                // A map has two frames for each entry.
            case '*':
            case '~':
            case '>':
                for ($i = 0; $i < $count; $i++) {
                    $end = $this->endOf($end);
                    if ($end === null) {
                        return null;
                    }
                }

                return $end;
            default:
                return $end;
        }
    }
}
