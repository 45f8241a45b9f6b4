<?php

declare(strict_types=1);

namespace Tests\Support;

/** The types of replies as the stub writes them: scalars, unions, `?T`, `list<T>`, `array<K, V>`. */
final class ReplyType
{
    public static function fits(string $type, mixed $value): bool
    {
        if (str_starts_with($type, '?')) {
            return $value === null || self::fits(substr($type, 1), $value);
        }
        $parts = self::split($type, '|');
        if (count($parts) > 1) {
            return array_filter($parts, static fn (string $part): bool => self::fits($part, $value)) !== [];
        }
        if (preg_match('~^(list|array)<(.+)>$~', $type, $found) === 1) {
            $inner = self::split($found[2], ', ');
            $isRight = is_array($value) && ($found[1] === 'array' || array_is_list($value));

            return $isRight && array_filter($value, static fn (mixed $one): bool => !self::fits(end($inner), $one)) === [];
        }

        return match ($type) {
            'mixed' => true,
            'never' => false,
            'null' => $value === null,
            'array' => is_array($value),
            'string' => is_string($value),
            'int' => is_int($value),
            'float' => is_float($value),
            'bool' => is_bool($value),
            default => throw new \UnexpectedValueException("the type $type is not known"),
        };
    }

    /**
     * Splits where no angle bracket is open.
     *
     * @param non-empty-string $at
     * @return list<string>
     */
    private static function split(string $type, string $at): array
    {
        $parts = [''];
        for ($depth = 0, $i = 0; $i < strlen($type); $i++) {
            $depth += match ($type[$i]) {
                '<' => 1,
                '>' => -1,
                default => 0,
            };
            if ($depth === 0 && substr_compare($type, $at, $i, strlen($at)) === 0) {
                $parts[] = '';
                $i += strlen($at) - 1;
            } else {
                $parts[array_key_last($parts)] .= $type[$i];
            }
        }

        return $parts;
    }
}
